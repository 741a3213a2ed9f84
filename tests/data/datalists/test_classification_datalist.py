"""Every layout gives images or candidates with their class, split by patient."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from empty_files import LISTS, sizes, touch, write_json
from models_genesis_bundle.data import (
    CandidateCubes,
    IntensityScaling,
    ScanPreprocessing,
    Volumes,
    classification_datalist,
    dataset_class_names,
    phantom_candidates,
    read_candidates,
    unlabelled_datalist,
)
from models_genesis_bundle.data.datalists import DatalistError

HEADER = ("seriesuid", "coordX", "coordY", "coordZ", "class")


def write_csv(path: Path, rows, header=HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def stems(items):
    return sorted(Path(item["image"]).name.split(".")[0] for item in items)


@pytest.fixture
def datalist(tmp_path):
    """A JSON with masks under ``label`` and the class under ``malignant``; an entry of the test list has no class."""

    def entry(name, **more):
        touch(tmp_path, f"images/{name}.nii.gz")
        return {"image": f"images/{name}.nii.gz", "label": f"labels/{name}.nii.gz", "patient": name[:2], **more}

    content = {
        "training": [entry(f"t{n}_{k}", malignant=k, diameter_mm=4.5 + n) for n in range(4) for k in (0, 1)],
        "validation": [entry("v0", malignant=False), entry("v1", malignant="1")],
        "test": [entry("e0", malignant=1), entry("e1")],
    }
    write_json(tmp_path / "datalist.json", **content)
    return tmp_path


@pytest.fixture
def class_folders(tmp_path):
    touch(tmp_path, *(f"{kind}/p{n:02d}_{kind[0]}.nii.gz" for kind in ("benign", "malignant") for n in range(20)))
    (tmp_path / "notes").mkdir()
    return tmp_path


@pytest.fixture
def luna16(tmp_path):
    """Two candidates of the scan in each subset, and of a scan that does not exist."""
    touch(tmp_path, *(f"subset{n}/1.3.6.{n}.mhd" for n in range(10)), "seg-lungs-LUNA16/1.3.6.0.mhd")
    rows = [(f"1.3.6.{n}", n + 0.5, -n, 100 + n, k) for n in range(11) for k in (0, 1)]
    write_csv(tmp_path / "candidates_V2.csv", rows)
    return tmp_path


def test_json_with_a_class_per_image(datalist, caplog):
    found = classification_datalist(datalist, class_key="malignant")
    assert [(item["label"], item["diameter_mm"]) for item in found["training"][:3]] == [(0, 4.5), (1, 4.5), (0, 5.5)]
    assert [item["label"] for item in found["validation"]] == [0, 1]
    assert stems(found["test"]) == ["e0"]
    assert "1 entries of test have no 'malignant' and are skipped" in caplog.text
    assert found["training"][0]["patient"] == "t0"


def test_the_same_json_by_its_own_path_and_class_names(datalist):
    content = json.loads((datalist / "datalist.json").read_text())
    for entry in content["training"] + content["validation"]:
        entry["kind"] = ["benign", "malignant"][int(entry["malignant"])]
    other = write_json(datalist / "other.json", **content | {"test": []})
    found = classification_datalist(other, class_key="kind", class_names=["benign", "malignant"], test_fraction=0)
    assert [item["label"] for item in found["training"]] == [0, 1] * 4
    assert found["test"] == []


@pytest.mark.parametrize(
    ("given", "names", "labels"),
    [
        (["1", "0", 1, 0], ["1", "0"], [0, 1, 0, 1]),
        ([1, 2, 2.0, "1.0"], ["1", "2"], [0, 1, 1, 0]),
        ([True, False, "true", "False"], ["True", "False"], [0, 1, 0, 1]),
        ([True, False, 1, 0], ["1", "0"], [0, 1, 0, 1]),
        (["Benign", "malignant ", 0, 1.0], ["benign", "malignant"], [0, 1, 0, 1]),
        (["A", "a", "A", "a"], ["a", "A"], [1, 0, 1, 0]),
    ],
)
def test_a_class_is_its_name_or_else_its_number(datalist, given, names, labels):
    content = json.loads((datalist / "datalist.json").read_text())
    lists = {
        section: [entry | {"kind": kind} for entry, kind in zip(content[section], given, strict=False)]
        for section in ("training", "validation")
    }
    kinds = write_json(datalist / "kinds.json", **lists)
    found = classification_datalist(kinds, class_key="kind", class_names=names, test_fraction=0)
    assert [item["label"] for item in found["training"]] == labels


def test_numbers_are_not_counted_if_the_names_are_numbers(datalist):
    """0 and 1 would be the first and the second name, and 1 the first name."""
    with pytest.raises(DatalistError, match=r"'malignant' must be one of the class_names 1, 2; found 0"):
        classification_datalist(datalist, class_key="malignant", class_names=["1", "2"])


def test_class_folders_in_the_folders_of_a_split(tmp_path):
    for section in ("train", "val", "test"):
        touch(tmp_path, *(f"{section}/{kind}/{section}_{n:03d}.nii.gz" for kind in ("b", "m") for n in range(2)))
    found = classification_datalist(tmp_path, patient_regex=r"\w+_\d+")
    assert dataset_class_names(tmp_path) == ["b", "m"]
    for section, name in zip(LISTS, ("train", "val", "test"), strict=True):
        assert [item["label"] for item in found[section]] == [0, 0, 1, 1]
        assert {item["patient"] for item in found[section]} == {f"{name}_000", f"{name}_001"}


def test_folders_of_a_split_are_no_classes(tmp_path):
    touch(tmp_path, *(f"{section}/{section}_{n}.nii.gz" for section in ("train", "test") for n in range(4)))
    with pytest.raises(DatalistError, match="test, train are named like the lists of a split, not like classes"):
        classification_datalist(tmp_path)


def test_flat_images_in_class_folders_are_named(tmp_path):
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in ("benign", "malignant") for n in range(4)))
    with pytest.raises(DatalistError, match="found 8 flat images, which the classification does not read"):
        classification_datalist(tmp_path)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_positive_class_that_does_not_exist_is_refused(class_folders, number):
    with pytest.raises(DatalistError, match=rf"^positive_class: expected the number of a class, 0 … 1, found {number}"):
        dataset_class_names(class_folders, positive_class=number)


def test_a_folder_for_each_class(class_folders):
    found = classification_datalist(class_folders)
    every = [item for items in found.values() for item in items]
    assert {(Path(item["image"]).parent.name, item["label"]) for item in every} == {("benign", 0), ("malignant", 1)}
    assert sizes(found) == [24, 8, 8]
    assert dataset_class_names(class_folders) == ["benign", "malignant"]
    turned = classification_datalist(class_folders, class_names=["malignant", "benign"])
    assert {item["label"] for item in turned["training"] if "/benign/" in item["image"]} == {1}


def test_the_same_patient_in_two_class_folders_stays_on_one_side(class_folders):
    for seed in range(5):
        found = classification_datalist(class_folders, patient_regex=r"(p\d+)_", seed=seed)
        patients = [{item["patient"] for item in items} for items in found.values()]
        assert sum(map(len, patients)) == len(set.union(*patients)) == 20
        assert all(len(items) == 2 * len(people) for items, people in zip(found.values(), patients, strict=True))


def test_split_by_numbers_of_patients_and_by_seed(class_folders):
    counted = classification_datalist(class_folders, validation_fraction=4, test_fraction=10)
    assert sizes(counted) == [26, 4, 10]
    again, other = (classification_datalist(class_folders, seed=seed) for seed in (0, 1))
    assert again == classification_datalist(class_folders)
    assert stems(again["test"]) != stems(other["test"])


def test_split_file(class_folders):
    split = {
        "training": ["benign/p00_b.nii.gz", "malignant/p00_m.nii.gz"],
        "validation": [{"image": "benign/p01_b.nii.gz"}, {"image": "malignant/p01_m.nii.gz"}],
    }
    found = classification_datalist(class_folders, split_file=write_json(class_folders / "split.json", **split))
    assert [stems(items) for items in found.values()] == [["p00_b", "p00_m"], ["p01_b", "p01_m"], []]


def test_candidates_in_the_folders_of_luna16(luna16, caplog):
    found = classification_datalist(luna16, candidates_file=luna16 / "candidates_V2.csv")
    subsets = [{Path(item["image"]).parent.name for item in items} for items in found.values()]
    assert subsets == [{f"subset{n}" for n in own} for own in (range(5), range(5, 7), range(7, 10))]
    assert found["training"][3] == {
        "image": str(luna16 / "subset1" / "1.3.6.1.mhd"), "patient": "1.3.6.1", "scan": "1.3.6.1",
        "point": (1.5, -1.0, 101.0), "label": 1,
    }  # fmt: skip
    assert "1 of the scans that it names were not found" in caplog.text


def test_candidates_in_any_folder_split_by_patient(tmp_path):
    touch(tmp_path, *(f"scans/pe{n}/pe{n}_{k}.nii.gz" for n in range(10) for k in "ab"))
    rows = [(f"pe{n}_{k}", 0, 0, 0, c, lesion, 7) for n in range(10) for k in "ab" for c, lesion in ((0, ""), (1, "x"))]
    file = write_csv(tmp_path / "candidates.csv", rows, (*HEADER, "lesion", "diameter_mm"))
    found = classification_datalist(tmp_path / "scans", candidates_file=file, validation_fraction=2, test_fraction=3)
    assert [len({item["patient"] for item in items}) for items in found.values()] == [5, 2, 3]
    assert sizes(found) == [20, 8, 12]
    assert [found["test"][0][key] for key in ("lesion", "diameter_mm")] == ["", 7.0]
    assert {item["patient"] for item in found["test"]} <= {f"pe{n}" for n in range(10)}


def test_candidates_of_a_jsons_scans(datalist):
    rows = [(scan, 0, 0, 0, label) for scan, label in (("v0", 0), ("v1", 1), ("t0_0", 0), ("t1_1", 1))]
    found = classification_datalist(datalist, candidates_file=write_csv(datalist / "c.csv", rows))
    assert [stems(items) for items in found.values()] == [["t0_0", "t1_1"], ["v0", "v1"], []]


def test_inference_needs_no_class(luna16, tmp_path):
    bare = write_csv(tmp_path / "bare.csv", [("1.3.6.3", 1, 2, 3)], HEADER[:-1])
    scans = tmp_path / "subset3"
    (item,) = unlabelled_datalist(scans, bare)
    assert item["point"] == (1, 2, 3)
    assert "label" not in item
    (item,) = unlabelled_datalist(scans)
    assert set(item) == {"image", "patient"}


def test_the_log_counts_classes_and_patients(class_folders, caplog):
    with caplog.at_level(logging.INFO):
        classification_datalist(class_folders)
    assert "validation: 4 of 'benign', 4 of 'malignant'; 8 patients" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_key": "grade"}, "no training entry has the class_key 'grade'; .* are diameter_mm, label, mal"),
        ({"class_key": "diameter_mm"}, r"'diameter_mm' must be a class number 0 … 1 or one of .* found 4\.5"),
        ({"class_key": "malignant", "num_classes": 3}, "training list needs items of every .* 0 of 'class 2'"),
        ({"class_names": ["one"]}, "class_names: expected 2 different names"),
        ({"layout": "luna16"}, "layout must be one of auto, json, class_folders without a candidates_file"),
        ({"layout": "class_folders", "candidates_file": "c.csv"}, "with a candidates_file, got 'class_folders'"),
    ],
)
def test_settings_that_are_refused(datalist, settings, message):
    with pytest.raises(ValueError, match=message):
        classification_datalist(datalist, **settings)


def test_class_folders_that_are_refused(class_folders):
    with pytest.raises(ValueError, match="expected 3 folders with scans, one for each class, found benign, malignant"):
        classification_datalist(class_folders, num_classes=3)
    with pytest.raises(ValueError, match="expected sick, well, found benign, malignant"):
        classification_datalist(class_folders, class_names=["sick", "well"])
    with pytest.raises(FileNotFoundError, match="no such folder"):
        classification_datalist(class_folders / "none")


def test_candidates_that_fit_no_scan_are_refused(luna16):
    touch(luna16, *(f"others/{name}.nii.gz" for name in "abc"), "twice/a.nii.gz", "twice/a.mhd")
    candidates = luna16 / "candidates_V2.csv"
    message = r"none of the 11 scans that it names was found.* for example 1\.3\.6\.0\.mhd\. The dataset has "
    with pytest.raises(ValueError, match=message):
        classification_datalist(luna16 / "others", candidates_file=candidates)
    with pytest.raises(ValueError, match=r"its scan name a matches several scans: .*a\.mhd, .*a\.nii\.gz"):
        unlabelled_datalist(luna16 / "twice", candidates)
    with pytest.raises(ValueError, match=r"a candidate of 1\.3\.6\.0: 'label' must be a class number 0 … 0"):
        classification_datalist(luna16, candidates_file=candidates, num_classes=1)
    with pytest.raises(FileNotFoundError, match="this CSV file of candidates does not exist"):
        classification_datalist(luna16, candidates_file=luna16 / "none.csv")


def test_a_validation_list_without_a_class_says_what_to_change(tmp_path):
    touch(tmp_path, *(f"sick/s{n}.nii.gz" for n in range(2)), *(f"well/w{n}.nii.gz" for n in range(30)))
    with pytest.raises(ValueError, match=r"list needs items of every class, found .*Change validation_fraction"):
        classification_datalist(tmp_path)


def test_phantoms_have_candidates_at_their_nodules(phantoms, tmp_path):
    file = phantom_candidates(phantoms, negatives_per_scan=4)
    assert file.read_bytes() == phantom_candidates(phantoms, negatives_per_scan=4).read_bytes()
    rows = read_candidates(file)
    nodules = [row for row in rows if row["label"] == 1]
    assert len({row["lesion"] for row in nodules}) == len(nodules) >= 4
    assert all((row["label"] == 1) == (row["diameter_mm"] > 0) == bool(row["lesion"]) for row in rows)
    items = [
        {**item, "label": row["label"], "image": item["image"].replace("/images/", "/labels/")}
        for item, row in zip(unlabelled_datalist(phantoms / "images", file), rows, strict=True)
    ]
    labels = ScanPreprocessing(intensity=IntensityScaling(lower=0, upper=2))  # 0, 1 and 2 become 0, 0.5 and 1
    volumes = Volumes(tmp_path / "cache", items, labels, num_workers=0, apply_rules=False)
    cubes = CandidateCubes(items, volumes, (5, 5, 5))
    middles = np.array([cube["image"][0, 2, 2, 2] for cube in cubes])
    positive = np.array(cubes.labels) == 1
    assert (middles[positive] == 1).mean() > 0.9, "a nodule's middle is nodule"
    assert (middles[~positive] == 0.5).all(), "the others lie in the lung"
    assert not any((cube["image"] == 1).any() for cube in cubes if cube["label"] == 0), "and away from nodules"
