import pytest
from empty_files import names, patients, sizes, touch, write_json
from models_genesis_bundle.data import check_patients_disjoint, list_scans, pretraining_datalist

# --- patients ---


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["b.nii.gz", "a.nii.gz"], ["a", "b"]),
        (["imagesTr/a.nii", "imagesTr/b.nii"], ["a", "b"]),
        (["train/a.nii", "val/b.nii"], ["a", "b"]),
        (["ana/1.mha", "ana/2.mha", "ben/1.mha"], ["ana", "ana", "ben"]),
        (["CT/ana/visit1/1.nrrd", "CT/ana/visit2/1.nrrd", "CT/ben/1.nrrd"], ["ana", "ana", "ben"]),
        (["study/a.nii", "study/b.nii"], ["a", "b"]),
        (["study/a.nii", "c.nii"], ["c", "a"]),
    ],
    ids=["files", "images", "train and val", "folders", "below a grouping folder", "one folder", "mixed"],
)
def test_a_patient_is_a_folder_where_there_are_several_else_a_file(tmp_path, files, expected):
    touch(tmp_path, *files)
    scans = list_scans(tmp_path)
    assert names(scans, tmp_path) == sorted(files)
    assert [scan["patient"] for scan in scans] == expected


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (r"sub-(\d+)", ["01", "01", "02"]),
        (r"sub-\d+", ["sub-01", "sub-01", "sub-02"]),
        (r"(sub|pat)-(?P<patient>\d+)", ["01", "01", "02"]),
        (r"^scans/(.+?)_", ["sub-01", "sub-01", "sub-02"]),
    ],
)
def test_a_regular_expression_names_the_patient(tmp_path, regex, expected):
    touch(tmp_path, "scans/sub-01_a.nii", "scans/sub-01_b.nii", "scans/sub-02_a.nii")
    assert [scan["patient"] for scan in list_scans(tmp_path, patient_regex=regex)] == expected


def test_a_regular_expression_that_does_not_match_is_refused(tmp_path):
    touch(tmp_path, "sub-01.nii", "pilot.nii")
    with pytest.raises(ValueError, match=r"patient_regex 'sub-.*' does not match 'pilot\.nii'"):
        list_scans(tmp_path, patient_regex=r"sub-(\d+)")


# --- a folder ---


def test_a_single_scan_and_a_dicom_folder_are_datasets_of_one(tmp_path):
    touch(tmp_path, "a.nii.gz", "series/1.dcm", "series/2.dcm")
    assert list_scans(tmp_path / "a.nii.gz") == [{"image": str(tmp_path / "a.nii.gz"), "patient": "a"}]
    assert list_scans(tmp_path / "series")[0]["image"] == str(tmp_path / "series")


def test_empty_and_absent_folders(tmp_path):
    touch(tmp_path, "thesis.pdf", "slice.png")
    with pytest.raises(FileNotFoundError, match=r"no scan in this folder .* Looked for \.nii\.gz, .*folders of DICOM"):
        list_scans(tmp_path)
    assert len(list_scans(tmp_path, spatial_dims=2)) == 1
    with pytest.raises(FileNotFoundError, match=r"none: there is no such folder or datalist. Check dataset_dir"):
        pretraining_datalist(tmp_path / "none")


def test_a_scan_that_is_there_twice_is_refused(tmp_path):
    touch(tmp_path, "a.nii")
    (tmp_path / "b.nii").symlink_to(tmp_path / "a.nii")
    with pytest.raises(ValueError, match=r"listed twice: .*a\.nii and .*b\.nii"):
        list_scans(tmp_path)
    with pytest.raises(ValueError, match="listed twice"):
        pretraining_datalist(tmp_path)


def test_unknown_and_unfitting_layouts(tmp_path):
    touch(tmp_path, "a.nii", "notes.txt")
    with pytest.raises(ValueError, match=r"layout must be one of auto, json, luna16, folder, got 'bids'"):
        list_scans(tmp_path, layout="bids")
    with pytest.raises(FileNotFoundError, match=r"it contains none of datalist\.json, dataset\.json"):
        list_scans(tmp_path, layout="json")
    with pytest.raises(ValueError, match="layout=folder needs a folder, found a file"):
        list_scans(tmp_path / "notes.txt", layout="folder")


# --- LUNA16 ---


def luna16(root, subsets):
    touch(root, *(f"subset{n}/1.3.{n}.{scan}.{kind}" for n in subsets for scan in range(2) for kind in ("mhd", "raw")))


def test_luna16_is_split_as_in_the_paper(tmp_path):
    luna16(tmp_path, range(10))
    split = pretraining_datalist(tmp_path)
    folders = {section: sorted({scan["image"].split("/")[-2] for scan in scans}) for section, scans in split.items()}
    assert folders == {
        "training": [f"subset{n}" for n in range(0, 5)],
        "validation": ["subset5", "subset6"],
        "test": ["subset7", "subset8", "subset9"],
    }
    assert len(split["training"]) == 10
    assert split["training"][0]["patient"] == "1.3.0.0"
    assert len(patients(list_scans(tmp_path))) == 20


def test_luna16_in_part_is_said(tmp_path, caplog):
    luna16(tmp_path, (0, 1, 5))
    split = pretraining_datalist(tmp_path)
    assert sizes(split) == [4, 2, 0]
    assert "the folders subset2, subset3, subset4 of LUNA16's training set are missing" in caplog.text
    assert "the folders subset6 of LUNA16's validation set are missing" in caplog.text


def test_luna16_without_a_side_is_refused_and_can_be_read_as_a_folder(tmp_path):
    luna16(tmp_path, (0, 1))
    with pytest.raises(FileNotFoundError, match=r"no scan for validation in subset5, subset6. .*layout='folder'"):
        pretraining_datalist(tmp_path)
    assert len(list_scans(tmp_path)) == 4, "an inference needs no split"
    split = pretraining_datalist(tmp_path, layout="folder", validation_fraction=0.25)
    assert sizes(split) == [3, 1, 0]
    assert patients(split["validation"])[0].startswith("1.3.")


# --- JSON ---


def test_a_decathlon_dataset(tmp_path):
    """Its training cases have labels, its test cases do not, its paths start with ./, and no list validates."""
    touch(tmp_path, *(f"imagesTr/liver_{n}.nii.gz" for n in (*range(5), "unlisted")), "imagesTs/liver_9.nii.gz")
    training = [{"image": f"./imagesTr/liver_{n}.nii.gz", "label": f"./labelsTr/liver_{n}.nii.gz"} for n in range(5)]
    write_json(tmp_path / "dataset.json", name="Liver", training=training, test=["./imagesTs/liver_9.nii.gz"])
    split = pretraining_datalist(tmp_path, seed=3)
    assert sizes(split) == [4, 1, 1]
    assert set(split["training"][0]) == {"image", "patient"}
    assert patients(split["test"]) == ["liver_9"]
    assert pretraining_datalist(tmp_path / "dataset.json", seed=3) == split
    assert len(list_scans(tmp_path)) == 6


def test_the_lists_and_patients_of_a_json_hold(tmp_path):
    touch(tmp_path, "a.nii", "b.nii", "c.nii")
    write_json(
        tmp_path / "datalist.json",
        training=["a.nii", {"image": "b.nii", "patient": 7}],
        validation=[{"image": "c.nii", "patient": "carl"}],
    )
    split = pretraining_datalist(tmp_path, validation_fraction=0.9)
    assert [scan["patient"] for scan in split["training"]] == ["a", "7"]
    assert split["validation"] == [{"image": str(tmp_path / "c.nii"), "patient": "carl"}]


def test_datalist_json_comes_before_dataset_json(tmp_path):
    touch(tmp_path, "a.nii", "b.nii", "c.nii")
    write_json(tmp_path / "dataset.json", training=["a.nii", "b.nii"])
    write_json(tmp_path / "datalist.json", training=["b.nii", "c.nii"])
    assert patients(list_scans(tmp_path)) == ["b", "c"]
    assert patients(list_scans(tmp_path, layout="folder")) == ["a", "b", "c"]


def test_a_split_file_replaces_the_split(tmp_path):
    scans = tmp_path / "scans"
    touch(scans, "a.nii", "b.nii", "c.nii", "d.nii")
    touch(tmp_path, "e.nii")
    split_file = write_json(tmp_path / "split.json", training=["a.nii", "b.nii"], validation=["c.nii"], test=["e.nii"])
    split = pretraining_datalist(scans, split_file=split_file)
    assert names(split["training"], scans) == ["a.nii", "b.nii"]
    assert names(split["validation"], scans) == ["c.nii"]
    assert names(split["test"], tmp_path) == ["e.nii"], "paths may count from the split file, too"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not JSON"),
        ('["a.nii"]', r'expected \{"training": .* found a list'),
        ('{"scans": ["a.nii"], "validation": ["b.nii"]}', "training is missing or empty; .* keys scans, validation"),
        ('{"training": ["a.nii"], "validation": []}', "validation is missing or empty"),
        ('{"training": "a.nii", "validation": ["b.nii"]}', "training must be a list, found a str"),
        ('{"training": [["a.nii", "b.nii"]], "validation": ["b.nii"]}', r"training\[0\] must be a path or have one"),
        ('{"training": [{"scan": "a.nii"}], "validation": ["b.nii"]}', r"training\[0\] must be a path or have one"),
        (
            '{"training": ["a.nii", "x1", "x2", "x3", "x4", "x5", "x6"], "validation": ["b.nii"]}',
            r"6 of the listed scans do not exist: x1, x2, x3, x4, x5 and 1 more. Paths are relative to",
        ),
    ],
)
def test_a_wrong_split_file_says_what_is_wrong(tmp_path, text, message):
    touch(tmp_path, "a.nii", "b.nii")
    split_file = tmp_path / "split.json"
    split_file.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"split\.json: .*{message}"):
        pretraining_datalist(tmp_path, split_file=split_file)


def test_an_absent_split_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"split\.json: there is no such datalist or split file"):
        pretraining_datalist(tmp_path, split_file=tmp_path / "split.json")


# --- patients on both sides ---


def test_a_patient_on_both_sides_is_refused_by_name(tmp_path):
    touch(tmp_path, "ana/1.nii", "ana/2.nii", "ben/1.nii", "eva/1.nii")
    split_file = write_json(
        tmp_path / "split.json", training=["ana/1.nii", "ben/1.nii"], validation=["ana/2.nii"], test=["eva/1.nii"]
    )
    with pytest.raises(ValueError, match=r"one list of the split:\n  ana: training: .*1\.nii; validation: .*2\.nii\n"):
        pretraining_datalist(tmp_path, split_file=split_file)
    split = pretraining_datalist(tmp_path, split_file=split_file, patient_regex=r".*")
    assert patients(split["validation"]) == ["ana/2.nii"], "patient_regex can tell different people apart"


def test_the_check_for_any_lists():
    lists = {
        "training": [{"image": "1.nii", "patient": "a"}, {"image": "2.nii", "patient": "b"}],
        "validation": [{"image": "3.nii", "patient": "c"}],
        "test": [{"image": "4.nii", "patient": "b"}, {"image": "5.nii", "patient": "c"}],
    }
    with pytest.raises(ValueError, match=r"b: training: 2\.nii; test: 4\.nii\n  c: validation: 3\.nii; test: 5\.nii"):
        check_patients_disjoint(lists)
    check_patients_disjoint({"training": lists["training"], "validation": lists["validation"]})
