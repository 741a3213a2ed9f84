import logging
import struct

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from scan_writers import SPACING, affine, truncate, write_dicom, write_scan

from models_genesis_bundle.data import LoadScand, ScanError

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (12, 10, 8)).astype(np.int16)
FORMATS = ("a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "dicom")


def load(path, **arguments):
    return LoadScand("image", **arguments)({"image": path})["image"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_voxels_at_the_same_places(tmp_path, name):
    scan = load(write_scan(tmp_path / name, VOXELS))
    assert scan.shape == (1, *VOXELS.shape)
    assert scan.dtype == torch.float32
    assert np.array_equal(scan[0], VOXELS)
    np.testing.assert_allclose(scan.affine, affine(), atol=1e-5)
    np.testing.assert_allclose(scan.pixdim, SPACING, rtol=1e-6)
    assert scan.meta["filename_or_obj"] == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_compressed_files(tmp_path, name):
    assert np.array_equal(load(write_scan(tmp_path / name, VOXELS, compression=True))[0], VOXELS)


@pytest.mark.parametrize("shape", [(12, 10, 8), (1, 12, 10, 8), (12, 10, 8, 1)])
def test_numpy_files_lie_on_a_grid_of_one_millimetre(tmp_path, shape):
    scan = load(write_scan(tmp_path / "a.npy", VOXELS.reshape(shape)))
    assert np.array_equal(scan[0], VOXELS)
    assert np.array_equal(scan.affine, np.eye(4))


def test_pictures_are_grey_with_their_width_along_x(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (10, 20)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "colour.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    for name, factor in (("grey", 1), ("colour", 1), ("deep", 256)):
        image = load(tmp_path / f"{name}.png", spatial_dims=2)
        assert image.shape == (1, 20, 10), name
        assert np.array_equal(image[0], grey.T * float(factor)), name


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npy", "a.mha"])
def test_flat_scans_in_2d(tmp_path, name):
    image = load(write_scan(tmp_path / name, VOXELS[..., :1]), spatial_dims=2)
    assert image.shape == (1, 12, 10)
    assert np.array_equal(image[0], VOXELS[..., 0])


def test_one_of_several_volumes_is_taken_only_by_name(tmp_path):
    path = write_scan(tmp_path / "a.nii", np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=-1))
    with pytest.raises(
        ScanError, match=r"shape \(12, 10, 8, 3\) has 4 axes where 3 are wanted: 3 volumes. .*volume=0 … 2"
    ):
        load(path)
    scan = load(path, volume=1)
    assert np.array_equal(scan[0], VOXELS + 1)
    assert load(write_scan(tmp_path / "b.nii", VOXELS), volume=1).shape == scan.shape, (
        "a file of one volume has no choice"
    )
    with pytest.raises(ScanError, match=r"it holds 3 volumes\. volume 3 is none of them"):
        load(path, volume=3)


@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 1), (1, 12, 10), (12, 1, 8)])
def test_a_flat_image_is_refused_in_3d(tmp_path, shape):
    path = write_scan(tmp_path / "a.nii", np.resize(VOXELS, shape))
    with pytest.raises(ScanError, match=r"a\.nii: its shape .* has no 3 axes longer than 1. .* spatial_dims=2"):
        load(path)


def test_a_picture_is_refused_in_3d(tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ScanError, match=r"its shape \(8, 8\) has no 3 axes"):
        load(tmp_path / "a.png")


def test_voxels_that_are_no_numbers_are_counted(tmp_path):
    array = VOXELS.astype(np.float32)
    array[0, :3, 0] = np.nan
    array[5, 5, 5] = -np.inf
    with pytest.raises(ScanError, match="4 of its 960 voxels are NaN or infinite"):
        load(write_scan(tmp_path / "a.nii", array))


def test_a_constant_scan_is_refused(tmp_path):
    with pytest.raises(ScanError, match="it is constant: every voxel is -1024"):
        load(write_scan(tmp_path / "a.mha", np.full_like(VOXELS, -1024)))


def test_a_singular_affine_is_refused(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, None)
    image.header.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match="its affine is singular"):
        load(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.npy"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_files_are_named(tmp_path, name, share):
    scan = write_scan(tmp_path / name, VOXELS)
    truncate(max(tmp_path.iterdir(), key=lambda file: file.stat().st_size), share)
    with pytest.raises(ScanError, match=rf"{name}: it cannot be read .* truncated or damaged"):
        load(scan)


def test_absent_and_unknown_files_are_named(tmp_path):
    with pytest.raises(ScanError, match=r"none\.nii: there is no such file"):
        load(tmp_path / "none.nii")
    (tmp_path / "thesis.pdf").write_text("precious")
    with pytest.raises(ScanError, match=r"thesis\.pdf: its suffix is of no known format. .* \.nii\.gz, .*\.png"):
        load(tmp_path / "thesis.pdf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="the folder holds no DICOM series"):
        load(tmp_path / "empty")


def test_a_numpy_file_that_wants_to_run_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    np.save(tmp_path / "evil.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    with pytest.raises(ScanError, match=r"evil\.npy: it cannot be read"):
        load(tmp_path / "evil.npy")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_dicom_series_with_a_gap_is_refused(tmp_path, damage):
    slice_ = write_dicom(tmp_path / "series", VOXELS) / "1-05.dcm"
    if damage == "missing":
        slice_.unlink()
    else:
        truncate(slice_)
    with pytest.raises(ScanError, match=r"slices are missing: 1 of 8 \(1 between 1-06\.dcm and 1-04\.dcm\)") as raised:
        load(tmp_path / "series")
    assert ("Not readable: 1-05.dcm" in str(raised.value)) == (damage == "truncated")


def test_an_unreadable_slice_at_the_end_is_left_out_and_named(tmp_path, caplog):
    truncate(write_dicom(tmp_path / "series", VOXELS) / "1-01.dcm")
    scan = load(tmp_path / "series")
    assert np.array_equal(scan[0], VOXELS[..., :-1])
    assert "series: not an image, or not readable, and left out: 1-01.dcm" in caplog.text


def test_dicom_objects_that_are_no_images_do_no_harm(tmp_path, caplog):
    folder = write_dicom(tmp_path / "series", VOXELS)
    (folder / "plan.dcm").write_bytes(radiotherapy_structures())
    assert np.array_equal(load(folder)[0], VOXELS)
    assert "left out: plan.dcm" in caplog.text


def radiotherapy_structures() -> bytes:
    def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
        return struct.pack("<HH2sH", group, number, kind, len(value)) + value

    class_uid, little_endian = b"1.2.840.10008.5.1.4.1.1.481.3\0", b"1.2.840.10008.1.2.1\0"
    header = element(2, 2, b"UI", class_uid) + element(2, 0x10, b"UI", little_endian)
    header = element(2, 0, b"UL", struct.pack("<I", len(header))) + header
    return b"\0" * 128 + b"DICM" + header + element(8, 0x16, b"UI", class_uid) + element(8, 0x60, b"CS", b"RTSTRUCT")


def test_of_several_series_in_a_folder_the_largest_is_read_and_that_is_said(tmp_path, caplog):
    write_dicom(tmp_path / "both", VOXELS[..., :3], series=1)
    write_dicom(tmp_path / "both", VOXELS, series=2)
    assert np.array_equal(load(tmp_path / "both")[0], VOXELS)
    assert "holds 2 DICOM series; the one with the most slices (8) is read" in caplog.text


def test_a_whole_series_is_read_without_a_word(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    load(write_dicom(tmp_path / "series", VOXELS))
    assert not caplog.records


def test_the_input_and_other_keys_stay(tmp_path):
    path = write_scan(tmp_path / "a.nii", VOXELS)
    item = {"image": str(path), "patient": "p"}
    loaded = LoadScand("image")(item)
    assert item == {"image": str(path), "patient": "p"}
    assert loaded["patient"] == "p"


def test_a_missing_key_is_an_error_unless_allowed(tmp_path):
    item = {"image": write_scan(tmp_path / "a.nii", VOXELS)}
    with pytest.raises(KeyError):
        LoadScand(["image", "second"])(item)
    assert set(LoadScand(["image", "second"], allow_missing_keys=True)(item)) == {"image"}


def test_scans_have_two_or_three_axes():
    with pytest.raises(ValueError, match="spatial_dims must be 2 or 3, got 4"):
        LoadScand("image", spatial_dims=4)
