"""Slices of volumes, cut as cubes one voxel thick."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from models_genesis_bundle.data import CubeSampler, CubeStore, LungRule, ScanPreprocessing, list_scans


@pytest.fixture
def scans(phantoms):
    return list_scans(phantoms / "images")[:2]


def extract(directory, scans, size=(16, 16, 1), **settings):
    sampler = CubeSampler(size, **settings)
    return CubeStore.open_or_extract(directory, scans, ScanPreprocessing(), sampler, cubes_per_scan=20, num_workers=0)


@pytest.mark.parametrize("size", [(16, 12, 1), (1, 16, 12)], ids=["axial", "sagittal"])
def test_a_slice_is_that_of_the_scan_without_its_thin_axis(tmp_path, scans, size):
    store = extract(tmp_path, scans, size)
    assert store.shape == (40, 1, 16, 12)
    scan = ScanPreprocessing()(scans[1])["image"].numpy()
    for number in range(20, 40):
        place = tuple(slice(start, start + side) for start, side in zip(store.corner_of(number), size, strict=True))
        np.testing.assert_allclose(
            store[number]["image"].ravel(), scan[(slice(None), *place)].ravel(), atol=3e-4, err_msg=str(place)
        )
    assert len({store.corner_of(number) for number in range(20)}) == 20


def test_slices_of_air_are_not_taken(tmp_path):
    voxels = np.full((40, 40, 40), -1000.0)
    voxels[5:35, 5:35, 20:] = np.random.default_rng(0).normal(50, 20, (30, 30, 20))
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "half.nii")
    store = extract(tmp_path / "store", list_scans(tmp_path / "half.nii"), (32, 32, 1))
    assert min(store.corner_of(number)[2] for number in range(len(store))) >= 20


def test_the_papers_rule_and_margins_hold_for_slices_too(tmp_path, scans):
    store = extract(tmp_path, scans, rule=LungRule(), margin=(10, 10, 5))
    for number in range(len(store)):
        x, y, z = store.corner_of(number)
        assert min(x, y) >= 10
        assert 5 <= z < 48 - 5
        assert (store[number]["image"] < 0.425).mean() > 0.8, "-150 HU and denser is the smaller part"


def test_slices_around_points(tmp_path, scans):
    points = [{**scan, "points": [(0.0, 0.0, 0.0), (10.0, -10.0, 12.0)]} for scan in scans]
    flat = CubeStore.open_or_cut(tmp_path / "flat", points, ScanPreprocessing(), (16, 16), num_workers=0)
    thick = CubeStore.open_or_cut(tmp_path / "thick", points, ScanPreprocessing(), (16, 16, 8), num_workers=0)
    assert flat.shape == (4, 1, 16, 16)
    for number in range(4):
        assert np.array_equal(flat[number]["image"], thick[number]["image"][..., 4]), "the point lies at size // 2"
