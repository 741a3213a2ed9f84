"""JSON lists as they come out of editors, scripts and other systems."""

from __future__ import annotations

import os

import pytest
from empty_files import LISTS, patients, touch, write_json
from models_genesis_bundle.data import list_scans, pretraining_datalist, segmentation_datalist
from models_genesis_bundle.data.datalists import DatalistError


@pytest.fixture
def scans(tmp_path):
    return touch(tmp_path, "a.nii", "b.nii", "c.nii")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_every_encoding_of_unicode_is_read(scans, encoding):
    (scans / "ä.nii").touch()
    (scans / "datalist.json").write_text('{"training": ["ä.nii", "b.nii"]}', encoding=encoding)
    assert [scan["patient"] for scan in list_scans(scans)] == ["b", "ä"]


def test_a_path_that_is_no_unicode_is_found(scans):
    open(os.fsencode(scans) + b"/b\xe4r.nii", "w").close()
    (scans / "datalist.json").write_bytes(b'{"training": ["b\xe4r.nii", "b.nii"]}')
    assert [os.path.basename(os.fsencode(scan["image"])) for scan in list_scans(scans)] == [b"b.nii", b"b\xe4r.nii"]


def test_one_patient_may_be_written_in_several_ways(scans):
    entries = [{"image": "a.nii", "patient": 7.0}, {"image": "b.nii", "patient": " 7"}]
    write_json(scans / "datalist.json", training=entries)
    assert [scan["patient"] for scan in list_scans(scans)] == ["7", "7"]


@pytest.mark.parametrize("patient", [None, [], ["p"], {"id": 1}, True, "", "  ", float("nan")])
def test_a_patient_is_text_or_a_number(scans, patient):
    entries = [{"image": "a.nii", "patient": 7}, {"image": "b.nii", "patient": patient}]
    write_json(scans / "datalist.json", training=entries)
    with pytest.raises(DatalistError) as caught:
        list_scans(scans)
    assert caught.value.source == str(scans / "datalist.json")
    assert caught.value.found.startswith("the patient of training[1] must be text or a number, found ")
    assert caught.value.remedy.startswith("Name the patient")
    entries[1]["patient"] = "b"
    write_json(scans / "datalist.json", training=entries)
    assert [scan["patient"] for scan in list_scans(scans)] == ["7", "b"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"training": ["a.nii"], "training": ["b.nii"]}', "the key 'training' appears twice in one object"),
        ('{"training": [{"image": "a.nii", "image": "b.nii"}]}', "the key 'image' appears twice in one object"),
        ('{"training": [""]}', r"training\[0\] must be a path"),
        ("[" * 100_000, "it is not JSON"),
        ("\x00\x01", "it is not JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused(scans, text, found):
    (scans / "datalist.json").write_text(text)
    with pytest.raises(DatalistError, match=found):
        list_scans(scans)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "valid", "testing"), ("Train", "VAL", "ts")])
def test_lists_go_by_the_names_that_others_give_them(scans, names):
    """Auto3DSeg writes ``testing``, many scripts ``train`` and ``val``; a list that is not read would be split again."""
    write_json(scans / "datalist.json", **dict(zip(names, (["a.nii"], ["b.nii"], ["c.nii"]), strict=True)))
    split = pretraining_datalist(scans)
    assert [patients(split[section]) for section in LISTS] == [["a"], ["b"], ["c"]]
    labelled = ([{"image": f"{name}.nii", "label": f"{name}.nii"}] for name in "abc")
    write_json(scans / "datalist.json", **dict(zip(names, labelled, strict=True)))
    assert [scan["patient"] for scan in segmentation_datalist(scans)["test"]] == ["c"]


def test_a_list_of_scans_needs_no_training_list(scans):
    """An inference reads all lists of a JSON, which may have only a test list."""
    (scans / "datalist.json").write_text('{"test": ["c.nii"]}')
    assert [scan["patient"] for scan in list_scans(scans)] == ["c"]
    (scans / "datalist.json").write_text('{"scans": ["c.nii"], "test": []}')
    with pytest.raises(DatalistError, match=r"training, validation, test is missing or empty; .* the keys scans, test"):
        list_scans(scans)


def test_two_names_of_one_list_are_refused(scans):
    (scans / "datalist.json").write_text('{"training": ["a.nii"], "val": ["b.nii"], "validation": ["c.nii"]}')
    with pytest.raises(DatalistError, match="'val' and 'validation' both name the validation list"):
        pretraining_datalist(scans)
