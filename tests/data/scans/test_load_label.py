import nibabel
import numpy as np
import pytest
import torch
from models_genesis_bundle.data import LoadLabeld, ScanError
from scan_writers import affine, write_scan


def drawn(*values, dtype=np.uint8):
    array = np.zeros((6, 5, 4), dtype=dtype)
    array.flat[: len(values)] = values
    return array


def load(path, **settings):
    return LoadLabeld("label", **settings)({"label": str(path), "patient": "a"})["label"]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.mhd", "a.npy"])
def test_labels_of_every_format_are_whole_numbers_in_their_place(tmp_path, name):
    array = drawn(1, 2, 255)
    label = load(write_scan(tmp_path / name, array))
    assert label.dtype == torch.uint8
    assert np.array_equal(label[0].numpy(), array)
    assert np.allclose(label.affine, np.eye(4) if name.endswith(".npy") else affine())


@pytest.mark.parametrize("factor", [1, 0.99999994, 1 + 1e-6, 1.0004])
def test_labels_that_are_whole_but_for_rounding_are_rounded(tmp_path, factor):
    path = write_scan(tmp_path / "a.nii", drawn(1, 2) * np.float32(factor))
    label = load(path, num_classes=3, label_map={2: 1, 1: 2})
    assert label.flatten()[:3].tolist() == [2, 1, 0]


@pytest.mark.parametrize("value", [0, 1])
def test_a_map_without_foreground_or_of_foreground_alone_is_no_error(tmp_path, value):
    assert load(write_scan(tmp_path / "a.nii", np.full((6, 5, 4), value, dtype=np.uint8))).unique().tolist() == [value]


@pytest.mark.parametrize(
    ("label_map", "expected"),
    [
        ({4: 3}, [1, 2, 3, 0]),
        ({1: 2, 2: 1}, [2, 1, 4, 0]),
        ({1: 1, 2: 1, 4: 1}, [1, 1, 1, 0]),
        ({"4": "0"}, [1, 2, 0, 0]),
        ({}, [1, 2, 4, 0]),
        (None, [1, 2, 4, 0]),
    ],
)
def test_labels_are_mapped_all_at_once(tmp_path, label_map, expected):
    label = load(write_scan(tmp_path / "a.nii", drawn(1, 2, 4)), label_map=label_map)
    assert label.flatten()[:4].tolist() == expected
    assert label.meta["filename_or_obj"] == str(tmp_path / "a.nii")


def test_large_labels_fit_once_they_are_mapped(tmp_path):
    path = write_scan(tmp_path / "a.nii", drawn(14175, 1, dtype=np.int32))
    assert load(path, label_map={14175: 1}, num_classes=2).sum() == 2
    with pytest.raises(ScanError, match=r"a\.nii: labels lie in 0 … 255, found 14175\. If the file is the label map"):
        load(path)


@pytest.mark.parametrize(
    ("array", "settings", "message"),
    [
        (drawn(1, 3, 7), {"num_classes": 3}, "labels for 3 classes with the background lie in 0 … 2, found 3, 7. If"),
        (drawn(1, 4), {"num_classes": 2, "label_map": {1: 0}}, r"0 … 1, found 4 after label_map \{1: 0\}"),
        (drawn(-1, 1, dtype=np.int16), {}, "whole numbers from 0, found -1. Check that it is the label"),
        (drawn(0.5, 1, dtype=np.float32), {}, "whole numbers from 0, found 0.5. .*nearest"),
        (drawn(0.998, 1.0011, 2, dtype=np.float32), {}, r"found 0\.998, 1\.0011\. Check"),
        (np.arange(-60, 60, dtype=np.int16).reshape(6, 5, 4), {}, r"-60, -59, -58, -57, -56 and 55 more"),
        (drawn(np.nan, 1, dtype=np.float32), {}, "1 of its 120 voxels are NaN"),
        (np.zeros((6, 5, 4, 2), dtype=np.uint8), {}, "2 volumes"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name_and_values(tmp_path, array, settings, message):
    nibabel.save(nibabel.Nifti1Image(array, affine()), tmp_path / "a.nii")
    with pytest.raises(ScanError, match=rf"a\.nii: .*{message}"):
        load(tmp_path / "a.nii", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "num_classes must lie in 2 … 256, got 1"),
        ({"num_classes": 257}, "num_classes must lie in 2 … 256, got 257"),
        ({"label_map": {"liver": 1}}, "whole numbers, got 'liver': 1"),
        ({"label_map": {-1: 0}}, "got -1: 0"),
        ({"label_map": {1: 2}, "num_classes": 2}, "to classes 0 … 1, got 1: 2"),
        ({"label_map": {1: 256}}, "to classes 0 … 255, got 1: 256"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        LoadLabeld("label", **settings)


def test_a_missing_key():
    assert LoadLabeld("label", allow_missing_keys=True)({"image": "a"}) == {"image": "a"}
    with pytest.raises(KeyError, match="label"):
        LoadLabeld("label")({"image": "a"})
