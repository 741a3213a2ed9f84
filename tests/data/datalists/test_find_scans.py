"""The scans and label maps that are found in a folder, and the report of what is skipped."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from empty_files import touch
from models_genesis_bundle.data import list_scans, patient_hashes, pretraining_datalist, segmentation_datalist
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.files import RUN_MARKER
from scan_writers import write_dicom, write_scan

SCAN = np.random.default_rng(0).integers(-1000, 1000, (12, 12, 8)).astype(np.int16)
LABELS = (SCAN > 700).astype(np.int16) + (SCAN > 900)


def below(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


NAMES_OF_LABEL_MAPS = """segmentation.nii.gz p1_seg.nii p1-Seg.nii GroundTruth.nii label0001.nii lungMask.nrrd sub-1_dseg.nii
    p1_gt.nii ROIs.nii annotations.nii RTSTRUCT.nii"""
OTHER_NAMES = "masked.nii unlabelled.nii bigtoe.nii segovia_1.nii"


@pytest.mark.parametrize("name", [*NAMES_OF_LABEL_MAPS.split(), *OTHER_NAMES.split()])
def test_names_of_label_maps(tmp_path, name):
    is_label = name in NAMES_OF_LABEL_MAPS.split()
    found = look_below(touch(tmp_path, "p1.nii", f"p2/{name}"))
    assert below(tmp_path, found.labels) == ([f"p2/{name}"] if is_label else [])
    assert len(found.scans) == 2 - is_label


@pytest.mark.parametrize(
    "folder", ["labelsTr", "labelstr", "Masks", "segmentations", "GT", "seg-lungs-LUNA16", "label"]
)
def test_folders_of_label_maps(tmp_path, folder):
    touch(tmp_path, "imagesTr/a.nii.gz", f"{folder}/a.nii.gz", f"{folder}/more/b.nii.gz")
    assert below(tmp_path, look_below(tmp_path).scans) == ["imagesTr/a.nii.gz"]


def test_a_folder_around_everything_does_not_tell(tmp_path):
    folder = touch(tmp_path / "Segmentation_Challenge", "a/ct.nii", "a/gt.nii", "b/ct.nii")
    assert below(folder, look_below(tmp_path).scans) == ["a/ct.nii", "b/ct.nii"]


def test_a_folder_of_images_in_one_of_labels_holds_images(tmp_path):
    touch(tmp_path, "Labels2020/images/a.nii", "Labels2020/masks/a.nii", "more/b.nii")
    assert below(tmp_path, look_below(tmp_path).scans) == ["Labels2020/images/a.nii", "more/b.nii"]


def test_a_series_is_found_beside_masks_texts_and_indices(tmp_path):
    series = write_dicom(tmp_path / "series", SCAN)
    for slice_ in series.iterdir():
        slice_.rename(slice_.with_suffix(""))
    for name in ("0_readme.txt", "1_licence.txt", "2.json"):
        (series / name).write_text("x" * 300)
    write_scan(series / "mask.nii.gz", LABELS)
    (tmp_path / "DIRFILE").write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0")
    index = b"\2\0\2\0UI\x1a\x001.2.840.10008.1.3.10\0"
    touch(tmp_path, "medium/x")
    (tmp_path / "medium" / "INDEX").write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0" + index)
    found = look_below(tmp_path)
    assert (found.scans, below(tmp_path, found.labels)) == ([series], ["series/mask.nii.gz"])


def test_results_of_earlier_runs_are_passed_over_but_not_when_named(tmp_path, caplog):
    touch(tmp_path, "a.nii", "b.nii", f"runs/x/{RUN_MARKER}", "runs/x/restored/a.nii")
    with caplog.at_level(logging.INFO):
        assert len(list_scans(tmp_path)) == 2
    assert "results of this bundle  1, such as runs/x" in caplog.text
    assert len(list_scans(tmp_path / "runs" / "x")) == 1


def test_links_that_lead_nowhere_or_in_a_circle_are_said(tmp_path, caplog):
    touch(tmp_path, "data/a/1.nii", "data/b/1.nii")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "b" / "above").symlink_to(tmp_path)
    (tmp_path / "data" / "annexed.nii").symlink_to(tmp_path / "gone.nii")
    (tmp_path / "data" / "itself").symlink_to(tmp_path / "data" / "itself")
    with caplog.at_level(logging.INFO):
        assert len(list_scans(tmp_path / "data")) == 2
    assert "links back to a folder above  2, such as " in caplog.text
    assert "links that lead nowhere       2, such as " in caplog.text


def test_the_error_about_a_folder_without_scans_names_what_was_passed_over(tmp_path):
    """As in a clone of a DataLad data set, before `datalad get`."""
    for name in ("images/1.nii", "labels/1.nii"):
        touch(tmp_path, "data/readme.md", f"data/{Path(name).parent}/empty")
        (tmp_path / "data" / name).symlink_to(tmp_path / "annex" / "gone")
    for find in (list_scans, segmentation_datalist):
        with pytest.raises(FileNotFoundError, match=r"Skipped: .*2 links that lead nowhere, such as .*/1\.nii"):
            find(str(tmp_path / "data"))


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.nii", "b/1.nii")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = look_below(tmp_path)
    assert below(tmp_path, found.scans) == ["a/1.nii"]
    assert found.skipped == {"folders that cannot be read (Permission denied)": [f"{tmp_path}/b"]}


def test_a_tree_deeper_than_the_stack(tmp_path):
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        place, above = os.open("d", os.O_RDONLY, dir_fd=place), place
        os.close(above)
    os.close(os.open("a.nii", os.O_CREAT, dir_fd=place))
    os.close(place)
    assert len(look_below(tmp_path).scans) == 1
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil.rmtree, by which pytest cleans up, cannot


def test_names_that_are_no_text(tmp_path, caplog):
    for name in (b"b\xe4r.nii", b"plain.nii"):
        open(os.fsencode(tmp_path) + b"/" + name, "w").close()
    with caplog.at_level(logging.INFO):
        scans = list_scans(tmp_path)
    assert [scan["patient"] for scan in scans] == [r"b\xe4r", "plain"]
    assert "b\\xe4r.nii -> b\\xe4r" in caplog.text
    assert caplog.text.encode()
    assert len(patient_hashes([scan["image"] for scan in scans])) == 2


def test_the_table_in_the_log(tmp_path, caplog):
    touch(tmp_path, "notes.txt", *(f"siteA/p{n}/{kind}.nii" for n in range(5) for kind in ("ct", "seg")))
    with caplog.at_level(logging.INFO):
        pretraining_datalist(tmp_path)
    table, warning = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith(str(tmp_path))
    ][1:]
    assert table.splitlines() == [
        str(tmp_path),
        "  scans        5",
        "  patients     5",
        "               siteA/p0/ct.nii -> p0",
        "               siteA/p3/ct.nii -> p3",
        "               siteA/p2/ct.nii -> p2",
        "  training     4 scans of 4 patients",
        "  validation   1 scans of 1 patients",
        "  test         0 scans of 0 patients",
        "  other files  1, such as notes.txt",
    ]
    assert warning.endswith(
        "label maps, excluded from the scans: 5, such as siteA/p0/seg.nii, siteA/p1/seg.nii, siteA/p2/seg.nii"
    )


def test_label_maps_alone_are_no_scans(tmp_path):
    touch(tmp_path, "p1/seg.nii", "p2/seg.nii")
    with pytest.raises(FileNotFoundError, match=r"look like label maps \(2, such as seg\.nii\)\. If they are scans"):
        list_scans(tmp_path)


def test_the_table_names_scans_outside_of_the_datalists_folder_shortly(tmp_path, caplog):
    touch(tmp_path, *(f"far/away/p{number}/ct.nii" for number in range(2)))
    datalist = tmp_path / "lists" / "mine" / "datalist.json"
    datalist.parent.mkdir(parents=True)
    images = [str(tmp_path / "far" / "away" / f"p{number}" / "ct.nii") for number in range(2)]
    datalist.write_text(json.dumps({"training": images[:1], "validation": images[1:]}))
    with caplog.at_level(logging.INFO):
        pretraining_datalist(datalist)
    assert re.findall(r"^ +(\S+ -> \S+)$", caplog.text, re.MULTILINE) == ["p0/ct.nii -> p0", "p1/ct.nii -> p1"]
