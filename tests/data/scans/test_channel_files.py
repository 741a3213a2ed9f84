import numpy as np
import pytest
import torch
from models_genesis_bundle.data import (
    CandidateCubes,
    IntensityScaling,
    ScanError,
    ScanPreprocessing,
    Volumes,
    recorded_preprocessing,
)
from models_genesis_bundle.data.scans.files import scan_fingerprint
from models_genesis_bundle.data.scans.load_scan import LoadScand
from nibabel import Nifti1Image, save
from reading import refused
from scan_writers import affine

FIRST, SECOND = np.random.default_rng(0).random((2, 12, 10, 8)).astype(np.float32)


def write(path, array, grid=None):
    save(Nifti1Image(array, affine() if grid is None else grid), path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "a_0000.nii", FIRST), write(tmp_path / "a_0001.nii", SECOND)]


def test_files_and_one_file_of_all_channels_give_the_same(files, tmp_path):
    whole = write(tmp_path / "a.nii", np.stack([FIRST, SECOND], axis=-1))
    load = LoadScand("image", channels=2)
    scans = [
        load(item)["image"]
        for item in ({"image": files}, {"image": files[0], "channel_files": files}, {"image": whole})
    ]
    for scan in scans:
        np.testing.assert_array_equal(scan.as_tensor(), np.stack([FIRST, SECOND]))
        np.testing.assert_allclose(scan.affine, affine())
    assert scans[0].meta["filename_or_obj"] == files[0]


def test_other_channels_than_wanted_are_refused(files, tmp_path):
    cases = [
        (files, 3, "it has 2 channels"),
        (files[0], 2, r"shape \(12, 10, 8\) has 1 channels, but the network takes 2"),
        (write(tmp_path / "three.nii", np.stack([FIRST] * 3, axis=-1)), 2, "has 3 channels, but the network takes 2"),
    ]
    for given, channels, message in cases:
        with refused("channels", message):
            LoadScand("image", channels=channels)({"image": given})
    with pytest.raises(ValueError, match="volume=0"):
        LoadScand("image", channels=2, volume=0)


def test_channels_on_different_grids_are_refused(files, tmp_path):
    moved = affine()
    moved[0, 3] += 1
    cases = [
        (write(tmp_path / "short.nii", SECOND[:-1]), r"its shape \(11, 10, 8\) differs from \(12, 10, 8\)"),
        (write(tmp_path / "moved.nii", SECOND, moved), r"puts voxels up to 1 mm away"),
    ]
    for other, message in cases:
        with refused("grid", f"{message}.*of the first channel, .*a_0000") as raised:
            LoadScand("image", channels=2)({"image": [files[0], other]})
        assert raised.value.file == other


def test_a_channel_without_contents_is_refused(tmp_path):
    whole = write(tmp_path / "a.nii", np.stack([FIRST, np.zeros_like(FIRST)], axis=-1))
    with pytest.raises(ScanError, match="constant"):
        LoadScand("image", channels=2)({"image": whole})


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
def test_each_channel_is_scaled_by_its_own_statistics(files, tmp_path, mode):
    other_unit = [files[0], write(tmp_path / "unit.nii", 1000 * SECOND - 300)]
    steps = ScanPreprocessing(intensity=IntensityScaling(mode), channels=2)
    one, other = (steps({"image": given})["image"] for given in (files, other_unit))
    torch.testing.assert_close(one.as_tensor(), other.as_tensor(), rtol=0, atol=1e-5)
    alone = ScanPreprocessing(intensity=IntensityScaling(mode))({"image": files[0]})["image"]
    torch.testing.assert_close(one.as_tensor()[:1], alone.as_tensor())
    torch.testing.assert_close(one.affine, alone.affine)


def test_the_record_keeps_several_channels():
    record = ScanPreprocessing(channels=("flair", "t1")).record()
    assert record["channels"] == ["flair", "t1"]
    again = recorded_preprocessing(record)
    assert (again.channels, again.num_channels) == (["flair", "t1"], 2)
    one = ScanPreprocessing(volume=1).record()
    assert "channels" not in one
    assert recorded_preprocessing(one).num_channels == 1
    assert recorded_preprocessing(one, channels=2).volume is None


def test_volumes_hold_all_channels_and_follow_each_file(files, tmp_path):
    item = {"image": files[0], "channel_files": files, "patient": "a"}
    steps = ScanPreprocessing(intensity=IntensityScaling("window", 0, 1), orientation=None, channels=2)
    volumes = Volumes(tmp_path / "cache", [item], steps, num_workers=0)
    cube = CandidateCubes([item], volumes, (4, 4, 4))[0]["image"]
    np.testing.assert_allclose(cube, np.stack([FIRST, SECOND])[:, 4:8, 3:7, 2:6], atol=1e-3)
    before = scan_fingerprint(*files)
    write(tmp_path / "a_0001.nii", SECOND[..., :-1])
    assert scan_fingerprint(*files) != before
