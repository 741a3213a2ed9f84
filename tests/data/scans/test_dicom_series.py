"""DICOM folders, compared with the header of each slice."""

from __future__ import annotations

import logging
import os
import shutil

import numpy as np
import pytest
from models_genesis_bundle.data import ScanError
from reading import VOXELS, load, refused
from scan_writers import UID, truncate, write_dicom, write_dicom_file

STORED = np.random.default_rng(1).integers(0, 4096, (6, 10, 12)).astype(np.uint16)
GAP = 5.0


def write_series(folder, stored=STORED, step=(0, 0, GAP), each=None, **elements):
    """Write ``(slices, rows, columns)`` along `step`; `each` gives further elements by slice."""
    for number, pixels in enumerate(stored):
        plain = {
            "SOPInstanceUID": f"{UID}.1.{number}",
            "SeriesInstanceUID": UID,
            "InstanceNumber": number + 1,
            "ImagePositionPatient": np.array([-10, -20, 30]) + number * np.asarray(step),
            "ImageOrientationPatient": (1, 0, 0, 0, 1, 0),
            "PixelSpacing": (0.7, 0.9),
        }
        write_dicom_file(folder / f"{number}", pixels, **(plain | elements | (each(number) if each else {})))
    return folder


def each(**by_number):
    """Elements for single slices, such as ``_3={...}``."""
    return lambda number: by_number.get(f"_{number}", {})


def places(scan):
    """Where the affine puts the first voxel of each slice, in LPS millimetres."""
    corners = np.array([(0, 0, k, 1) for k in range(scan.shape[-1])])
    return (corners @ np.asarray(scan.affine).T)[:, :3] * (-1, -1, 1)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (0.0025, 0), (0.5, 7), (2, 0)])
def test_each_slice_has_its_own_rescale(tmp_path, slope, intercept):
    folder = write_series(
        tmp_path,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        each=each(_0={"RescaleSlope": 1, "RescaleIntercept": 0}),
    )
    truth = STORED.astype(np.float64)
    truth[1:] = truth[1:] * slope + intercept
    np.testing.assert_allclose(load(folder)[0], truth.T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_stored_values_of_every_kind(tmp_path, dtype):
    kind = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(kind.min, kind.max, (3, 10, 12), endpoint=True).astype(dtype)
    np.testing.assert_array_equal(load(write_series(tmp_path, stored))[0], stored.T)


@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 13), ("i2", 16)])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_inverted_grey_values_become_what_they_were(tmp_path, dtype, bits, spatial_dims):
    low = -(2 ** (bits - 1)) if dtype[0] == "i" else 0
    stored = np.random.default_rng(0).integers(low, low + 2**bits, (3, 10, 12)).astype(dtype)
    inverted = (2 * low + 2**bits - 1 - stored.astype(np.int64)).astype(dtype)
    rescale = {"BitsStored": bits, "RescaleSlope": 0.5, "RescaleIntercept": -1024}
    plain = write_series(tmp_path / "plain", stored, **rescale)
    other = write_series(tmp_path / "inverted", inverted, PhotometricInterpretation="MONOCHROME1", **rescale)
    if spatial_dims == 2:
        plain, other = plain / "0", other / "0"
    np.testing.assert_array_equal(load(other, spatial_dims=spatial_dims), load(plain, spatial_dims=spatial_dims))


@pytest.mark.parametrize(
    ("cosines", "step"),
    [
        ((1, 0, 0, 0, 1, 0), (0, 0, 5)),
        ((1, 0, 0, 0, 1, 0), (0, 0, -5)),
        ((0, 1, 0, 0, 0, -1), (-3, 0, 0)),
        ((0.8, 0.6, 0, -0.36, 0.48, 0.8), (0.96, -1.28, 1.2)),
        ((-1, 0, 0, 0, -1, 0), (0, 0, 0.625)),
    ],
)
def test_every_slice_lies_where_its_header_puts_it_whatever_its_name(tmp_path, cosines, step):
    order = np.random.default_rng(0).permutation(len(STORED))
    positions = np.array([-10, -20, 30]) + order[:, None] * np.asarray(step)
    write_series(
        tmp_path, each=lambda number: {"ImagePositionPatient": positions[number]}, ImageOrientationPatient=cosines
    )
    scan = load(tmp_path)
    for voxels, place in zip(scan[0].permute(2, 1, 0).numpy(), places(scan), strict=True):
        number = int(np.linalg.norm(positions - place, axis=1).argmin())
        np.testing.assert_allclose(place, positions[number], atol=1e-6)
        np.testing.assert_array_equal(voxels, STORED[number])
    axes = np.asarray(scan.affine)[:3, :3].T * (-1, -1, 1)
    np.testing.assert_allclose(axes[:2], [np.multiply(cosines[:3], 0.9), np.multiply(cosines[3:], 0.7)], atol=1e-6)


def test_one_series_may_write_its_numbers_in_several_ways(tmp_path):
    folder = write_series(
        tmp_path,
        each=lambda number: {
            "SliceThickness": "5" if number % 2 else "5.0",
            "PixelSpacing": r"0.70\0.90" if number % 2 else r"7e-1\.9",
        },
    )
    assert load(folder).shape == (1, 12, 10, 6)


def test_names_that_are_not_utf_8_are_refused(tmp_path):
    folder = write_series(tmp_path)
    (folder / "3").rename(folder / os.fsdecode(b"\xe9"))
    with refused("name", "its name is not UTF-8"):
        load(folder)


def test_positions_may_be_rounded(tmp_path):
    write_series(tmp_path, each=lambda number: {"ImagePositionPatient": (-10, -20, round(30 + 0.625 * number, 2))})
    np.testing.assert_allclose(load(tmp_path).pixdim, (0.9, 0.7, 0.625), atol=2e-3)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_the_modality_is_told(tmp_path, modality):
    assert load(write_series(tmp_path, Modality=modality)).meta["modality"] == modality


def test_files_that_are_copied_twice_count_once(tmp_path, caplog):
    folder = write_series(tmp_path)
    shutil.copy(folder / "3", folder / "3 copy")
    np.testing.assert_array_equal(load(folder)[0], STORED.T)
    assert "skipped, because they are copies of other files (same SOPInstanceUID): 3 copy" in caplog.text


def test_of_several_images_at_each_place_one_is_taken_only_by_name(tmp_path):
    folder = write_series(tmp_path, each=lambda number: {"ImagePositionPatient": (0, 0, number % 2 * GAP)})
    with refused("several_volumes", r"its shape \(12, 10, 2, 3\) has 4 axes .* 3 volumes\. .*volume=0 … 2"):
        load(folder)
    for volume in range(3):
        np.testing.assert_array_equal(load(folder, volume=volume)[0], STORED[2 * volume : 2 * volume + 2].T)


def test_images_next_to_each_other_are_no_volumes(tmp_path):
    write_series(tmp_path, each=lambda number: {"ImagePositionPatient": (number % 3, 0, number // 3 * GAP)})
    with refused("repeated_slices", "1 lies 1 mm next to 0, in the same plane"):
        load(tmp_path, volume=0)


def test_missing_slices_are_counted_and_placed(tmp_path):
    folder = write_series(tmp_path, np.resize(STORED, (12, 10, 12)))
    for number in ("3", "7", "8"):
        (folder / number).unlink()
    with refused("missing_slices", r"missing: 3 of 12 \(1 between 2 and 4, 2 between 6 and 9\)"):
        load(folder)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_series_with_a_gap_is_refused(tmp_path, damage):
    slice_ = write_dicom(tmp_path / "series", VOXELS) / "1-05.dcm"
    if damage == "missing":
        slice_.unlink()
    else:
        truncate(slice_)
    with pytest.raises(ScanError, match=r"missing: 1 of 8 \(1 between 1-06\.dcm and 1-04\.dcm\)") as raised:
        load(tmp_path / "series")
    assert ("Not readable: 1-05.dcm" in str(raised.value)) == (damage == "truncated")


TILTED = (1, 0, 0, 0, np.cos(np.radians(18.5)), -np.sin(np.radians(18.5)))


@pytest.mark.parametrize(
    ("elements", "rule", "message"),
    [
        ({"ImageOrientationPatient": TILTED}, "gantry_tilt", r"gantry tilt of 18\.5 degrees"),
        ({"each": each(_2={"ImagePositionPatient": (-10, -20, 41)})}, "uneven_slices", "between them are 4 to 6 mm"),
        ({"each": each(_2={"ImagePositionPatient": (-8, -20, 40)})}, "uneven_slices", "up to 2 mm from its place"),
        ({"each": each(_2={"ImagePositionPatient": (-10, -20, 35)})}, "repeated_slices", "1 to 2 images lie at each"),
        ({"each": each(_2={"PixelSpacing": (0.7, 0.8)})}, "mixed_images", r"Spacing: \[0\.9, 0\.7\] in 0, .* in 2"),
        ({"each": each(_2={"ImageOrientationPatient": (0, 1, 0, 0, 0, -1)})}, "mixed_images", "in ImageOrientation"),
        ({"PixelSpacing": None}, "no_spacing", "of 0 must be two numbers above 0, found nothing"),
        ({"PixelSpacing": (0, 1)}, "no_spacing", r"above 0, found 0\\1"),
        ({"PixelSpacing": (-1, 1)}, "no_spacing", r"above 0, found -1\\1"),
        ({"each": each(_4={"ImagePositionPatient": None})}, "no_position", "of 4 must be three numbers, found nothing"),
        ({"ImagePositionPatient": r"1\nan\2"}, "no_position", r"three numbers, found 1\\nan\\2"),
        ({"each": each(_2={"RescaleSlope": 0})}, "rescale", "RescaleSlope in the header of 2 is 0"),
        ({"each": each(_2={"RescaleSlope": "1,5"})}, "rescale", "header of 2 is 1,5"),
        ({"RescaleSlope": 1, "each": each(_2={"RescaleSlope": None})}, "rescale", "only one has RescaleSlope"),
        ({"each": each(_2={"RescaleIntercept": -1024})}, "rescale", "of 0 and 2, only one has RescaleIntercept"),
        ({"each": each(_2={"PhotometricInterpretation": "MONOCHROME1"})}, "mixed_images", "differ in inverted grey"),
        ({"RescaleIntercept": "nan"}, "rescale", "RescaleIntercept in the header of 0 is nan"),
        ({"ImageOrientationPatient": None}, "no_orientation", "two unit vectors"),
        ({"ImageOrientationPatient": (0, 0, 0, 0, 0, 0)}, "no_orientation", "two unit vectors"),
        ({"ImageOrientationPatient": (1, 0, 0, 1, 0, 0)}, "no_orientation", "two unit vectors"),
        ({"ImageType": r"ORIGINAL\PRIMARY\LOCALIZER"}, "localiser", "only localisers"),
        ({"ImageType": r"ORIGINAL\PRIMARY\M\MOSAIC"}, "mosaic", "many slices side by side"),
        ({"stored": np.stack([STORED, STORED])}, "multi_frame", r"0 contains 6 frames \(enhanced multi-frame DICOM\)"),
        ({"stored": np.zeros((3, 10, 12, 3), np.uint8)}, "colour", "contains colours"),
        ({"stored": STORED[:1]}, "flat", r"shape \(12, 10, 1\) has no 3 axes"),
        ({"stored": STORED[:2], "ImagePositionPatient": (0, 0, 0)}, "several_volumes", r"\(12, 10, 1, 2\) has 4 axes"),
    ],
)
def test_what_is_no_regular_volume_is_refused_by_name(tmp_path, elements, rule, message):
    with refused(rule, message):
        load(write_series(tmp_path, **elements))


def test_a_localiser_beside_the_slices_is_left_out(tmp_path):
    folder = write_series(tmp_path)
    elements = {
        "ImagePositionPatient": (0, 0, 0),
        "ImageOrientationPatient": (1, 0, 0, 0, 0, -1),
        "PixelSpacing": (1, 1),
    }
    write_dicom_file(folder / "scout", STORED[0], SeriesInstanceUID=UID, ImageType=r"A\B\LOCALIZER", **elements)
    np.testing.assert_array_equal(load(folder)[0], STORED.T)


def test_an_unreadable_slice_at_the_end_is_left_out_and_named(tmp_path, caplog):
    truncate(write_dicom(tmp_path / "series", VOXELS) / "1-01.dcm")
    scan = load(tmp_path / "series")
    assert np.array_equal(scan[0], VOXELS[..., :-1])
    assert "series: skipped, because they are not readable images: 1-01.dcm" in caplog.text


def test_dicom_objects_that_are_no_images_do_no_harm(tmp_path, caplog):
    folder = write_dicom(tmp_path / "series", VOXELS)
    write_dicom_file(folder / "plan.dcm", None, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3", Modality="RTSTRUCT")
    assert np.array_equal(load(folder)[0], VOXELS)
    assert "readable images: plan.dcm" in caplog.text


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ScanError, match="the folder contains no DICOM series"):
        load(tmp_path)
    write_dicom_file(tmp_path / "plan.dcm", None)
    with refused("no_image", r"none of its DICOM files is a readable image: plan\.dcm"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["DICOMDIR", "DIRFILE", "index"])
def test_the_directory_of_a_medium_is_no_image(tmp_path, name, caplog):
    folder = write_series(tmp_path)
    write_dicom_file(folder / name, None, SOPClassUID="1.2.840.10008.1.3.10")
    np.testing.assert_array_equal(load(folder)[0], STORED.T)
    assert not caplog.records


def test_of_several_series_in_a_folder_the_largest_is_read_and_that_is_said(tmp_path, caplog):
    write_dicom(tmp_path / "both", VOXELS[..., :3], series=1)
    write_dicom(tmp_path / "both", VOXELS, series=2)
    assert np.array_equal(load(tmp_path / "both")[0], VOXELS)
    assert "contains 2 DICOM series; the one with the most slices (8) is read" in caplog.text


def test_a_whole_series_is_read_without_a_word(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    load(write_dicom(tmp_path / "series", VOXELS))
    assert not caplog.records
