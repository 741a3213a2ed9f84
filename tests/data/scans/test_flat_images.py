"""X-rays and other flat images: PNG, JPEG and single DICOM files."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import reading
from models_genesis_bundle.data import IntensityScaling, ScanError, ScanPreprocessing, list_scans
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.scans.files import scan_stem
from PIL import Image
from scan_writers import truncate, write_dicom, write_dicom_file, write_radiograph, write_scan

PIXELS = np.random.default_rng(0).integers(0, 255, (10, 20)).astype(np.int16)


load = partial(reading.load, spatial_dims=2)


def preprocess(path):
    intensity = IntensityScaling("percentile", 0.5, 99.5)
    return ScanPreprocessing(intensity=intensity, spatial_dims=2)({"image": path})["image"]


def test_the_same_radiograph_is_the_same_in_dicom_and_png(tmp_path):
    Image.fromarray(PIXELS.astype(np.uint8)).save(tmp_path / "a.png")
    picture, dicom = preprocess(tmp_path / "a.png"), preprocess(write_radiograph(tmp_path / "a.dcm", PIXELS))
    assert dicom.shape == (1, 20, 10)
    np.testing.assert_allclose(dicom, picture, atol=1e-6)
    np.testing.assert_allclose(dicom.affine, picture.affine)


def test_inverted_grey_values_are_turned_back(tmp_path):
    plain = preprocess(write_radiograph(tmp_path / "plain.dcm", PIXELS))
    inverted = preprocess(write_radiograph(tmp_path / "inverted.dcm", PIXELS, inverted=True))
    np.testing.assert_allclose(inverted, 1 - plain, atol=1e-6)


def test_a_radiograph_without_spacing_has_pixels_of_a_millimetre_and_that_is_said(tmp_path, caplog):
    path = write_dicom_file(tmp_path / "a.dcm", PIXELS, Modality="CR")
    np.testing.assert_allclose(load(path).pixdim, (1, 1))
    assert "a.dcm: its header gives no PixelSpacing above 0; a pixel is assumed to be 1 mm" in caplog.text
    caplog.clear()
    image = load(write_dicom_file(tmp_path / "b.dcm", PIXELS, PixelSpacing=(0.2, 0.1), Modality="DX"))
    np.testing.assert_allclose(image.pixdim, (0.1, 0.2))
    assert image.meta["modality"] == "DX"
    assert not caplog.records


def test_of_several_frames_one_is_taken_only_by_name(tmp_path):
    frames = np.stack([PIXELS, 255 - PIXELS, PIXELS // 2]).astype(np.uint8)
    path = write_radiograph(tmp_path / "run.dcm", frames)
    with pytest.raises(ScanError, match=r"3 axes instead of 2: 3 slices, frames or colours. .*volume=0 … 2"):
        load(path)
    assert np.array_equal(load(path, volume=1)[0], frames[1].T)


def test_colours_in_dicom_are_refused(tmp_path):
    path = write_radiograph(tmp_path / "a.dcm", np.stack([PIXELS] * 3, axis=-1).astype(np.uint8))
    with pytest.raises(ScanError, match="3 axes instead of 2: 3 slices, frames or colours"):
        load(path)


def test_a_volume_is_refused(tmp_path):
    path = write_scan(tmp_path / "a.nii", np.stack([PIXELS] * 4, axis=-1))
    with pytest.raises(ScanError, match=r"4 slices, frames or colours.* volumes need spatial_dims=3"):
        load(path)


def test_a_slice_of_another_plane_than_the_axial_keeps_its_spacing(tmp_path):
    slice_ = next(write_dicom(tmp_path / "series", np.stack([PIXELS] * 2, axis=-1)).iterdir())
    image = load(slice_)
    np.testing.assert_allclose(image.affine, np.diag([-2.0, -3.0, 1.0]))
    np.testing.assert_allclose(image.pixdim, (2, 3))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.dcm"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_truncated_images_are_named(tmp_path, name, share):
    if name == "a.dcm":
        write_radiograph(tmp_path / name, np.tile(PIXELS, (20, 20)))
    else:
        Image.fromarray(np.tile(PIXELS, (20, 20)).astype(np.uint8)).save(tmp_path / name)
    with pytest.raises(ScanError, match=rf"{name}: it cannot be read .* truncated or damaged"):
        load(truncate(tmp_path / name, share))


def test_each_dicom_file_is_an_image_whatever_it_is_called(tmp_path):
    wanted = [write_radiograph(tmp_path / "ana" / name, PIXELS) for name in ("1.dcm", "2.DCM")]
    bare = write_radiograph(tmp_path / "ben" / "1.dcm", PIXELS)
    wanted.append(bare.rename(bare.with_name("IM0001")))
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "readme").write_text("precious")
    assert look_below(tmp_path, spatial_dims=2).scans == sorted(wanted)
    assert [scan["patient"] for scan in list_scans(tmp_path, spatial_dims=2)] == ["ana", "ana", "ben"]
    assert list_scans(wanted[0], spatial_dims=2) == [{"image": str(wanted[0]), "patient": "1"}]
    assert scan_stem(wanted[1]) == "2"


def test_a_folder_of_flat_images_is_refused_in_3d_and_an_empty_one_in_2d(tmp_path):
    Image.fromarray(PIXELS.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="Its 1 flat images need spatial_dims=2 and a 2D network"):
        list_scans(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"Looked for .*\.png, .* and DICOM files"):
        list_scans(tmp_path / "empty", spatial_dims=2)
