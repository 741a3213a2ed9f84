"""The scans of a folder that a plan uses, and the rules that exclude the others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.planning import fingerprint, fingerprint_scans
from PIL import Image
from scan_writers import truncate, write_radiograph, write_scan


def voxels(seed: int, mean: float = 40.0, shape=(24, 26, 20)) -> np.ndarray:
    """A CT: tissue between air; another mean shifts all of it."""
    found = np.random.default_rng(seed).normal(mean, 30, shape)
    found[:6] = mean - 1040
    return found.astype(np.int16)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(6):
        write(tmp_path / "scans" / f"ct_{number}.nii.gz", voxels(number))
    return tmp_path / "scans"


def rules(found) -> dict[str, str]:
    return {Path(scan["image"]).name: scan["rule"] for scan in found.left_out}


def names(found) -> set[str]:
    return {Path(scan["image"]).name for scans in found.datalist.values() for scan in scans}


def test_scans_that_cannot_be_used_are_left_out_by_name(folder):
    write(folder / "thin.nii.gz", voxels(7)[..., :2])
    write(folder / "empty.nii.gz", np.where(np.arange(20) > 18, voxels(8), -1000).astype(np.int16) * 0 - 1000)
    padded = np.full((24, 26, 60), -1000, dtype=np.int16)
    padded[..., :1] = voxels(9)[..., :1]
    write(folder / "padded.nii.gz", padded)
    write(folder / "unscaled.nii.gz", voxels(10, mean=1064))
    truncate(write(folder / "cut.nii.gz", voxels(11)))
    found = fingerprint_scans(folder, num_workers=0)
    left_out = rules(found)
    assert set(left_out) == {"thin.nii.gz", "empty.nii.gz", "padded.nii.gz", "unscaled.nii.gz", "cut.nii.gz"}
    assert left_out["thin.nii.gz"] == "few_slices"
    assert left_out["padded.nii.gz"] == "mostly_padding"
    assert left_out["unscaled.nii.gz"] == "intensity_kind"
    assert names(found) == {f"ct_{number}.nii.gz" for number in range(6)}
    assert (found.kind, found.spatial_dims, found.notes) == ("CT in HU", 3, [])
    assert {facts.spacing for facts in found.facts.values()} == {(2.0, 2.0, 3.0)}
    assert all(scan["reason"] for scan in found.left_out)


def test_a_file_name_of_any_bytes_can_be_logged(folder, caplog):
    truncate(write(folder / "cut.nii.gz", voxels(11))).rename(folder / os.fsdecode(b"cut_\xff.nii.gz"))
    found = fingerprint_scans(folder, num_workers=0)
    assert [os.fsencode(Path(scan["image"]).name) for scan in found.left_out] == [b"cut_\xff.nii.gz"]
    assert "cut_\\udcff.nii.gz" in caplog.text


def test_the_result_does_not_depend_on_the_number_of_processes(folder):
    one, two = (fingerprint_scans(folder, num_workers=workers) for workers in (0, 2))
    assert one.facts == two.facts
    assert one.datalist == two.datalist


def test_a_mixed_folder_is_planned_for_its_larger_part(folder):
    for number in range(4):
        write(folder / f"mr_{number}.nii.gz", np.abs(voxels(number, mean=1100)))
    found = fingerprint_scans(folder, num_workers=0)
    assert found.kind == "CT in HU"
    assert set(rules(found).values()) == {"intensity_kind"}
    assert set(rules(found)) == {f"mr_{number}.nii.gz" for number in range(4)}
    assert {scan["reason"] for scan in found.left_out} == {"it is not in HU, while 6 other scans are CT in HU."}


def test_of_many_large_scans_a_sample_is_read_and_all_are_listed(folder, monkeypatch):
    assert len(fingerprint_scans(folder, sample_size=3, num_workers=0).facts) == 6, "a few kilobytes are all read"
    monkeypatch.setattr(fingerprint, "_ALL_READ_BELOW", 100)
    samples = [fingerprint_scans(folder, sample_size=3, split_seed=seed, num_workers=0) for seed in (0, 0, 1)]
    assert [len(sample.facts) for sample in samples] == [3, 3, 3]
    assert set(samples[0].facts) == set(samples[1].facts) != set(samples[2].facts)
    assert len(names(samples[0])) == 6
    assert "sample of 3 of the 6 scans" in samples[0].notes[0]


@pytest.mark.parametrize("name", ["series.mhd", "series"])
def test_the_size_of_a_scan_is_that_of_all_its_files(tmp_path, monkeypatch, name):
    """A header of LUNA16 has a few hundred bytes; its voxels are in another file."""
    for number in range(3):
        folder = write_scan(tmp_path / f"patient_{number}" / name, voxels(number)).parent / "series"
        folder.mkdir(exist_ok=True)
        (folder / "gone.dcm").symlink_to("nowhere")
    monkeypatch.setattr(fingerprint, "_ALL_READ_BELOW", 10_000)
    assert len(fingerprint_scans(tmp_path, sample_size=2, num_workers=0).facts) == 2


def test_a_list_that_loses_all_its_scans_is_split_anew(folder, caplog):
    write(folder / "thin.nii.gz", voxels(7)[..., :2])
    content = {"training": [f"ct_{number}.nii.gz" for number in range(6)], "validation": ["thin.nii.gz"]}
    (folder / "datalist.json").write_text(json.dumps(content))
    found = fingerprint_scans(folder, num_workers=0)
    assert [len(found.datalist[name]) for name in ("training", "validation")] == [5, 1]
    assert "None of the scans for validation can be used; training and validation are split again." in caplog.text


def test_scans_for_the_test_stay_unseen(folder):
    content = {"training": ["ct_0.nii.gz", "ct_1.nii.gz", "ct_2.nii.gz"], "test": ["ct_3.nii.gz"]}
    (folder / "datalist.json").write_text(json.dumps(content))
    found = fingerprint_scans(folder, num_workers=0)
    assert {Path(image).name for image in found.facts} == {"ct_0.nii.gz", "ct_1.nii.gz", "ct_2.nii.gz"}
    assert [Path(scan["image"]).name for scan in found.datalist["test"]] == ["ct_3.nii.gz"]


def test_pictures_are_planned_for_in_2d(tmp_path):
    for number in range(3):
        Image.fromarray(voxels(number, 120, (40, 50)).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    found = fingerprint_scans(tmp_path, num_workers=0)
    assert found.spatial_dims == 2
    assert {facts.shape for facts in found.facts.values()} == {(50, 40)}


def test_radiographs_are_planned_for_in_2d_where_that_is_said(tmp_path):
    for number in range(3):
        write_radiograph(tmp_path / f"{number}.dcm", voxels(number, 2000, (40, 50)))
    assert len(fingerprint_scans(tmp_path, spatial_dims=2, num_workers=0).facts) == 3


def test_dicom_series_are_read(tmp_path):
    for number in range(2):
        write_scan(tmp_path / f"patient_{number}" / "series", voxels(number))
    found = fingerprint_scans(tmp_path, num_workers=0)
    assert [len(found.datalist[name]) for name in ("training", "validation")] == [1, 1]
    assert found.kind == "CT in HU"


def test_one_scan_is_refused_by_the_split(tmp_path):
    write(tmp_path / "only.nii.gz", voxels(0))
    with pytest.raises(ValueError, match=r"one patient \(only\) cannot be split"):
        fingerprint_scans(tmp_path, num_workers=0)


def test_no_usable_scan_is_an_error_with_the_first_reason(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.nii.gz", voxels(number)[..., :2])
    with pytest.raises(
        ValueError, match=r"none of the 3 scans .* can be used. The first is .*0.nii.gz: it has 2 slices"
    ):
        fingerprint_scans(tmp_path, num_workers=0)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no scan in this folder"):
        fingerprint_scans(tmp_path, num_workers=0)
