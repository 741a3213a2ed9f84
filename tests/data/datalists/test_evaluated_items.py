"""An evaluation needs cases and names the patients of the training; a resumed run needs the same lists."""

import pytest
from models_genesis_bundle.data import ListsOfRun, evaluated_items, patient_hashes, seen_in_training
from models_genesis_bundle.data.datalists import DatalistError

ITEMS = [{"image": f"{name}.nii.gz", "patient": name} for name in ("ana", "ben", "ben", "eva")]


def test_an_empty_list_is_refused_with_the_numbers_of_all():
    datalist = {"training": ITEMS, "validation": ITEMS[:1], "test": []}
    with pytest.raises(DatalistError, match=r"^section: .* none in test \(4 in training, 1 in validation, 0 in test\)"):
        evaluated_items(datalist, "test")
    assert evaluated_items(datalist, "validation") == ITEMS[:1]


@pytest.mark.parametrize(("section", "warns"), [("test", True), ("validation", True), ("training", False)])
def test_patients_of_the_training_are_named(caplog, section, warns):
    record = {"patient_hashes": patient_hashes(["ben", "ida"])}
    assert seen_in_training(ITEMS, section, record) == ["ben"]
    assert ("1 of 3" in caplog.text and "trained on: ben." in caplog.text) == warns


def test_each_patient_has_the_start_of_its_names_sha256_once_and_in_order():
    # printf LIDC-IDRI-0001 | sha256sum
    assert patient_hashes(["LIDC-IDRI-0001"]) == ["3bb5d67ab4619662"]
    assert patient_hashes(["b", "a", "b"]) == ["3e23e8160039594a", "ca978112ca1bbdca"]


def test_weights_without_a_record_have_seen_nobody_known(caplog):
    assert seen_in_training(ITEMS, "test", None) == seen_in_training(ITEMS, "test", {"scans": 3}) == []
    assert not caplog.records


def test_a_resumed_run_has_the_same_lists():
    saved = ListsOfRun({"training": ITEMS[:3], "validation": ITEMS[3:]}).state_dict()
    ListsOfRun({"training": ITEMS[2::-1], "validation": ITEMS[3:]}).load_state_dict(saved)
    new = {"image": "ida.nii.gz", "patient": "ida"}
    with pytest.raises(ValueError, match=r"^training had 3 scans of 2 patients, now 2 of 2, and 1 .*output_dir"):
        ListsOfRun({"training": [ITEMS[1], new], "validation": ITEMS[3:]}).load_state_dict(saved)
