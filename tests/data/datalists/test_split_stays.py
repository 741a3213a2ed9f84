"""The splits of the default seeds do not change, because published comparisons depend on them (since commit e586c89)."""

from __future__ import annotations

import pytest
from empty_files import touch
from models_genesis_bundle.data import pretraining_datalist, segmentation_datalist
from monai.bundle import ConfigParser

VALIDATION = [3, 4, 5, 12, 24, 25, 28, 35]
TEST = [6, 8, 15, 16, 30, 32, 34, 40]


@pytest.fixture
def hippocampus(tmp_path):
    folders = ("imagesTr", "labelsTr")
    return touch(tmp_path, *(f"{folder}/hippocampus_{n:03d}.nii.gz" for folder in folders for n in range(1, 41)))


def numbers(scans):
    return sorted(int(scan["patient"].removeprefix("hippocampus_")) for scan in scans)


def test_hippocampus(hippocampus):
    assert numbers(pretraining_datalist(hippocampus)["validation"]) == VALIDATION
    split = segmentation_datalist(hippocampus)
    assert (numbers(split["validation"]), numbers(split["test"])) == (VALIDATION, TEST)


def test_nodules_of_one_patient_stay_together_as_with_the_regular_expression(tmp_path):
    nodules = [f"LIDC-IDRI-{number:04d}_R_{n}.nii.gz" for number in range(1, 41) for n in range(1, 2 + number % 3)]
    touch(tmp_path, *(f"{folder}/{nodule}" for folder in ("images", "labels") for nodule in nodules))
    assert segmentation_datalist(tmp_path) == segmentation_datalist(tmp_path, patient_regex=r"LIDC-IDRI-\d{4}")


@pytest.mark.parametrize("name", ["pretrain", "finetune_segmentation", "finetune_classification"])
def test_every_configuration_splits_by_the_same_settings(name):
    config = ConfigParser.load_config_file(f"configs/{name}.yaml")
    assert (config["split"]["seed"], config["split"]["validation_fraction"]) == (0, 0.2)
