import pytest
from empty_files import LISTS, names, patients, sizes, touch, write_json
from models_genesis_bundle.data import list_labelled_scans, segmentation_datalist
from models_genesis_bundle.data.datalists import DatalistError


def pairs(items, root):
    return list(zip(names(items, root), names(items, root, "label"), strict=True))


def numbered(root, count):
    touch(root, *(f"{kind}/{n:02d}.nii.gz" for kind in ("images", "labels") for n in range(count)))


# --- pairs ---


@pytest.mark.parametrize(
    ("image", "label", "patient"),
    [
        ("imagesTr/a_1.nii.gz", "labelsTr/a_1.nii.gz", "a_1"),
        ("images/a.mha", "labels/a.nii.gz", "a"),
        ("images/a.nii.gz", "masks/a.nii.gz", "a"),
        ("Images/a.nrrd", "Segmentations/a.nrrd", "a"),
        ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "a"),
        ("images/a_0000.nii.gz", "labels/a_0000.nii.gz", "a_0000"),
        ("imagesTr/a_0000_0000.nii.gz", "labelsTr/a_0000.nii.gz", "a_0000"),
        ("study/images/p1/ct.nii", "study/labels/p1/ct.nii", "p1"),
    ],
)
def test_files_of_the_same_name_pair_without_patterns(tmp_path, image, label, patient):
    touch(tmp_path, image, label)
    (item,) = list_labelled_scans(tmp_path)
    assert item == {"image": str(tmp_path / image), "label": str(tmp_path / label), "patient": patient}


def test_a_folder_is_the_patient_where_there_are_several(tmp_path):
    touch(tmp_path, *(f"{site}/{kind}/1.nii" for site in ("ana", "ben") for kind in ("images", "labels")))
    items = list_labelled_scans(tmp_path)
    assert pairs(items, tmp_path) == [(f"{p}/images/1.nii", f"{p}/labels/1.nii") for p in ("ana", "ben")]
    assert [item["patient"] for item in items] == ["ana", "ben"]
    assert [item["patient"] for item in list_labelled_scans(tmp_path, patient_regex=r"^(.)")] == ["a", "b"]


def test_a_dicom_folder_is_an_image(tmp_path):
    touch(tmp_path, "images/a/1.dcm", "images/a/2.dcm", "labels/a.nii.gz")
    assert pairs(list_labelled_scans(tmp_path), tmp_path) == [("images/a", "labels/a.nii.gz")]


LITS = {"image_pattern": r"(?<!test-)volume-(\d+)\.nii", "label_pattern": r"segmentation-(\d+)\.nii"}
BRATS = {"image_pattern": r"(Brats18_[^/]+)_flair\.nii", "label_pattern": r"(Brats18_[^/]+)_seg\.nii"}


def test_lits(tmp_path):
    touch(tmp_path, *(f"Training Batch {1 + n // 2}/{k}-{n}.nii" for k in ("volume", "segmentation") for n in range(4)))
    touch(tmp_path, "LITS-Challenge-Test-Data/test-volume-0.nii")
    items = list_labelled_scans(tmp_path, **LITS)
    assert [item["patient"] for item in items] == ["0", "1", "2", "3"]
    assert pairs(items, tmp_path)[3] == ("Training Batch 2/volume-3.nii", "Training Batch 2/segmentation-3.nii")


def test_brats_2018(tmp_path, caplog):
    for case in ("HGG/Brats18_2013_2_1", "HGG/Brats18_CBICA_AAB_1", "LGG/Brats18_TCIA_1"):
        name = case.split("/")[1]
        touch(tmp_path, *(f"{case}/{name}_{kind}.nii.gz" for kind in ("flair", "t1", "t1ce", "t2", "seg")))
    touch(tmp_path, "LGG/Brats18_late/Brats18_late_flair.nii.gz")
    items = list_labelled_scans(tmp_path, **BRATS)
    assert [item["patient"] for item in items] == ["Brats18_2013_2_1", "Brats18_CBICA_AAB_1", "Brats18_TCIA_1"]
    assert all(item["image"].endswith("_flair.nii.gz") and item["label"].endswith("_seg.nii.gz") for item in items)
    assert "1 of the images have no label and are skipped: LGG/Brats18_late/Brats18_late_flair.nii.gz" in caplog.text


def test_further_groups_of_both_patterns_must_agree(tmp_path):
    touch(tmp_path, *(f"p{p}/v{v}_{kind}.nii" for p in (1, 2) for v in (1, 2) for kind in ("ct", "seg")))
    stem = r"(?P<patient>p\d)/(?P<case>v\d)_"
    items = list_labelled_scans(tmp_path, image_pattern=stem + "ct", label_pattern=stem + "seg")
    assert pairs(items, tmp_path)[1] == ("p1/v2_ct.nii", "p1/v2_seg.nii")
    assert [item["patient"] for item in items] == ["p1", "p1", "p2", "p2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_pattern": r"(\w+)_ct"}, "must be set together"),
        ({"image_pattern": r"\w+_ct", "label_pattern": r"(\w+)_seg"}, "has no group"),
        ({"image_pattern": r"(\w+_ct", "label_pattern": r"(\w+)_seg"}, "not a regular expression"),
        ({"image_pattern": r"(\w+)\.nii", "label_pattern": r"(\w+)_seg"}, "it matches both .* so that no file"),
        ({"image_pattern": r"(a|b)_(ct|t1)", "label_pattern": r"(\w+)_seg"}, "both match the case 'a'"),
        ({"image_pattern": r"(\w+)_ct", "label_pattern": r"(\w+)_seg", "layout": "json"}, "belong to layout=pairs"),
        ({"layout": "folder"}, "layout must be one of auto, json, pairs"),
        ({"layout": "json"}, "contains none of datalist.json"),
        ({}, r"a_seg\.nii: it matches 2 images: a_ct\.nii, a_t1\.nii. Pair them with image_pattern"),
    ],
)
def test_patterns_that_do_not_fit_are_refused(tmp_path, arguments, message):
    touch(tmp_path, "a_ct.nii", "a_t1.nii", "a_seg.nii")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        list_labelled_scans(tmp_path, **arguments)


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone: there is no such folder"):
        segmentation_datalist(tmp_path / "gone")
    touch(tmp_path, "scan.nii.gz")
    with pytest.raises(ValueError, match=r"scan\.nii\.gz: layout=pairs needs a folder"):
        segmentation_datalist(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize(
    ("training", "test"),
    [
        (("imagesTr", "labelsTr"), ("imagesTs", "labelsTs")),
        (("train/images", "train/labels"), ("test/images", "test/labels")),
    ],
)
def test_folders_that_name_a_split_are_followed(tmp_path, training, test):
    for n in range(5):
        touch(tmp_path, *(f"{folder}/a{n}.nii" for folder in training), *(f"{folder}/b{n}.nii" for folder in test))
    datalist = segmentation_datalist(tmp_path)
    assert patients(datalist["test"]) == [f"b{n}" for n in range(5)]
    assert len(datalist["validation"]) == 1
    assert len(datalist["training"]) == 4
    touch(tmp_path, "images/c.nii", "labels/c.nii")
    with pytest.raises(ValueError, match=r"but not .*images/c\.nii.*split_file"):
        segmentation_datalist(tmp_path)
    split = write_json(
        tmp_path / "split.json", training=["images/c.nii"], validation=[pairs(datalist["test"], tmp_path)[0][0]]
    )
    assert patients(segmentation_datalist(tmp_path, split_file=split)["training"]) == ["c"]
    assert len(list_labelled_scans(tmp_path)) == 11


def test_a_test_folder_without_labels_names_no_split(tmp_path):
    numbered(tmp_path, 5)
    (tmp_path / "images").rename(tmp_path / "imagesTr")
    (tmp_path / "labels").rename(tmp_path / "labelsTr")
    touch(tmp_path, "imagesTs/x.nii.gz")
    datalist = segmentation_datalist(tmp_path)
    assert sizes(datalist) == [3, 1, 1]


# --- JSON ---


def test_a_json_keeps_its_lists_and_plain_entries(tmp_path):
    touch(tmp_path, *(f"{kind}/{n}.nii" for kind in "il" for n in range(3)))
    entry = {"diameter_mm": 4.5, "malignant": 0, "site": "A", "votes": [1, 2], "note": None}
    sections = {
        section: [{"image": f"i/{n}.nii", "label": f"l/{n}.nii", "patient": n, **entry}]
        for n, section in enumerate(LISTS)
    }
    datalist = segmentation_datalist(write_json(tmp_path / "datalist.json", **sections))
    kept = {"diameter_mm": 4.5, "malignant": 0, "site": "A"}
    for n, section in enumerate(sections):
        files = {"image": str(tmp_path / f"i/{n}.nii"), "label": str(tmp_path / f"l/{n}.nii")}
        assert datalist[section] == [{**files, "patient": str(n), **kept}]


def decathlon(root):
    touch(root, *(f"{kind}/{n:02d}.nii.gz" for kind in ("imagesTr", "labelsTr") for n in range(10)))
    listed = [{"image": f"./imagesTr/{n:02d}.nii.gz", "label": f"./labelsTr/{n:02d}.nii.gz"} for n in range(10)]
    unlabelled = [f"./imagesTs/{n}.nii.gz" for n in range(4)]
    return write_json(root / "dataset.json", numTraining=10, numTest=4, training=listed, test=unlabelled)


def test_the_decathlons_test_list_is_left_out_and_said(tmp_path, caplog):
    decathlon(tmp_path)
    datalist = segmentation_datalist(tmp_path)
    assert sizes(datalist) == [6, 2, 2]
    assert "4 of 4 entries of test have no label and are skipped" in caplog.text
    without_test = segmentation_datalist(tmp_path, test_fraction=0)
    assert sizes(without_test) == [8, 2, 0]
    assert without_test["validation"] == datalist["validation"]


@pytest.mark.parametrize(
    "content",
    [
        {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz"},
        {"training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"} for c in "abc"]},
    ],
    ids=["version 2", "version 1"],
)
def test_nnunets_dataset_json_is_no_datalist(tmp_path, content):
    touch(tmp_path, *(f"imagesTr/{c}_0000.nii.gz" for c in "abc"), *(f"labelsTr/{c}.nii.gz" for c in "abc"))
    write_json(tmp_path / "dataset.json", numTraining=3, **content)
    assert patients(list_labelled_scans(tmp_path)) == list("abc")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training": [{"image": "a.nii"}]}, "none of the 1 entries of training has a label"),
        ({"training": [{"image": "a.nii", "label": 1}]}, r"training\[0\] must have a path under 'label', found 1"),
        ({"training": [{"image": "a.nii", "label": "b.nii"}]}, "1 of the listed scans do not exist: b.nii"),
        ({"training": [{"label": "a.nii"}]}, r"training\[0\] must be a path or have one path under 'image'"),
        ({"test": [{"image": "a.nii", "label": "a.nii"}]}, "training is missing or empty"),
    ],
)
def test_a_json_that_does_not_fit_says_why(tmp_path, sections, message):
    touch(tmp_path, "a.nii")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        segmentation_datalist(write_json(tmp_path / "list.json", **sections))


def test_all_labelled_scans_of_a_json_with_a_test_only(tmp_path):
    touch(tmp_path, "a.nii", "a_label.nii")
    file = write_json(tmp_path / "list.json", test=[{"image": "a.nii", "label": "a_label.nii"}])
    assert patients(list_labelled_scans(file)) == ["a"]
    with pytest.raises(FileNotFoundError, match="none of its lists has an image with a label"):
        list_labelled_scans(write_json(tmp_path / "other.json", test=["a.nii"]))


# --- split ---


def test_the_split_is_by_patient_seeded_and_whole(tmp_path):
    touch(tmp_path, *(f"{k}/p{n // 2:02d}_{n}.nii" for k in ("images", "labels") for n in range(60)))
    one, same, other = (segmentation_datalist(tmp_path, patient_regex=r"p\d+", seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one["test"] != other["test"]
    assert [len(patients(one[section])) for section in LISTS] == [18, 6, 6]
    assert sizes(one) == [36, 12, 12]
    assert all(items == sorted(items, key=lambda item: item["image"]) for items in one.values())


@pytest.mark.parametrize(
    ("validation", "test", "expected"),
    [(0.2, 0.2, [6, 2, 2]), (3, 2, [5, 3, 2]), (1, 0, [9, 1, 0]), (0.01, 0.01, [8, 1, 1]), (0.5, 0.5, [1, 4, 5])],
)
def test_fractions_are_shares_and_whole_numbers_are_patients(tmp_path, validation, test, expected):
    numbered(tmp_path, 10)
    datalist = segmentation_datalist(tmp_path, validation_fraction=validation, test_fraction=test)
    assert sizes(datalist) == expected


def test_the_test_set_does_not_depend_on_the_size_of_the_validation_set(tmp_path):
    numbered(tmp_path, 20)
    tests = [segmentation_datalist(tmp_path, validation_fraction=size)["test"] for size in (1, 5, 0.4)]
    assert tests[0] == tests[1] == tests[2]


@pytest.mark.parametrize(
    ("count", "arguments", "message"),
    [
        (10, {"validation_fraction": 0}, "validation_fraction must be a fraction"),
        (10, {"validation_fraction": 1.5}, "validation_fraction must be a fraction"),
        (10, {"test_fraction": -1}, "test_fraction must be a fraction"),
        (10, {"validation_fraction": 5, "test_fraction": 5}, "5 for validation and 5 for test leave no patient"),
        (2, {}, "2 scans of 2 patients cannot be split into training, validation and test"),
        (1, {"test_fraction": 0}, r"of one patient \(00\) cannot be split into training and validation. Add scans"),
    ],
)
def test_a_split_that_leaves_nobody_to_train_on_is_refused(tmp_path, count, arguments, message):
    numbered(tmp_path, count)
    with pytest.raises(ValueError, match=message):
        segmentation_datalist(tmp_path, **arguments)


def test_patients_that_a_split_file_names_are_those_of_its_scans(tmp_path):
    touch(tmp_path, *(f"{folder}/{name}.nii" for folder in ("images", "labels") for name in "abc"))
    ana, ben = ({"image": f"images/{name}.nii", "patient": patient} for name, patient in (("a", "ana"), ("b", "ben")))
    split = write_json(tmp_path / "split.json", training=[ana, "images/c.nii"], validation=[ben])
    datalist = segmentation_datalist(tmp_path, split_file=split, test_fraction=0)
    assert [patients(datalist[name]) for name in ("training", "validation")] == [["ana", "c"], ["ben"]]
    split = write_json(tmp_path / "split.json", training=[ana], validation=[{**ben, "patient": "ana"}])
    with pytest.raises(ValueError, match=r"ana: training: .*a\.nii; validation: .*b\.nii"):
        segmentation_datalist(tmp_path, split_file=split, test_fraction=0)


def test_a_split_file_replaces_the_split(tmp_path, caplog):
    numbered(tmp_path, 6)
    split = write_json(
        tmp_path / "split.json", training=["images/03.nii.gz", "images/01.nii.gz"], validation=["images/02.nii.gz"]
    )
    datalist = segmentation_datalist(tmp_path, split_file=split)
    assert [patients(datalist[section]) for section in LISTS] == [["01", "03"], ["02"], []]
    assert datalist["validation"][0]["label"] == str(tmp_path / "labels/02.nii.gz")
    assert "3 labelled scans are in none of its lists" in caplog.text
    touch(tmp_path, "images/late.nii.gz")
    split = write_json(tmp_path / "split.json", training=["images/03.nii.gz"], validation=["images/late.nii.gz"])
    with pytest.raises(ValueError, match=r"1 scans of validation are not among the labelled .*late\.nii\.gz"):
        segmentation_datalist(tmp_path, split_file=split)


# --- label fraction ---


def test_the_label_fraction_takes_training_patients_only(tmp_path, caplog):
    caplog.set_level("INFO")
    numbered(tmp_path, 20)
    whole = segmentation_datalist(tmp_path)
    some = segmentation_datalist(tmp_path, label_fraction=0.25)
    assert (sizes(whole), sizes(some)) == ([12, 4, 4], [3, 4, 4])
    assert set(patients(some["training"])) < set(patients(whole["training"]))
    assert (some["validation"], some["test"]) == (whole["validation"], whole["test"])
    assert "label_fraction=0.25: 3 of 12 training patients are used" in caplog.text
    few = segmentation_datalist(tmp_path, shots=2)
    assert set(patients(few["training"])) < set(patients(some["training"]))
    assert (len(few["training"]), few["validation"], few["test"]) == (2, whole["validation"], whole["test"])
    assert "shots=2: 2 of 12 training patients are used" in caplog.text
    others = segmentation_datalist(tmp_path, label_fraction=0.25, label_fraction_seed=1)
    assert patients(others["training"]) != patients(some["training"])


def test_a_label_map_of_two_patients_is_refused_and_that_of_two_scans_is_not(tmp_path):
    numbered(tmp_path, 4)
    entries = [{"image": f"images/{n:02d}.nii.gz", "label": f"labels/{n:02d}.nii.gz"} for n in range(4)]
    entries[1]["label"] = entries[0]["label"]
    lists = {"training": entries[:2], "validation": entries[2:3], "test": entries[3:]}
    write_json(tmp_path / "datalist.json", **lists)
    with pytest.raises(DatalistError, match=r"labels/00.nii.gz: it is the label map of .* of patient 00 and .* 01\."):
        segmentation_datalist(tmp_path)
    with pytest.raises(DatalistError, match="it is the label map of"):
        list_labelled_scans(tmp_path)
    lists["training"] = [entry | {"patient": "ana"} for entry in entries[:2]]
    write_json(tmp_path / "datalist.json", **lists)
    assert len(segmentation_datalist(tmp_path)["training"]) == 2


def test_paths_of_windows_are_read(tmp_path):
    numbered(tmp_path, 3)
    entries = [{"image": rf"images\{n:02d}.nii.gz", "label": rf".\labels\{n:02d}.nii.gz"} for n in range(3)]
    write_json(tmp_path / "datalist.json", training=entries[:1], validation=entries[1:2], test=entries[2:])
    (item,) = segmentation_datalist(tmp_path)["test"]
    assert pairs([item], tmp_path) == [("images/02.nii.gz", "labels/02.nii.gz")]
