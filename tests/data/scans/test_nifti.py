"""NIfTI files: their affine, units, checksum and what is refused."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
from monai.transforms import SaveImage
from reading import VOXELS, load, refused
from scan_writers import affine

SHEARED = np.array([[-3.2, 0.1, 0, 60], [0, 3.2, 0, -50], [0, 0.4, 4.1, -300], [0, 0, 0, 1]])


def image(array=VOXELS, matrix=None, **header):
    """An image whose sform and qform are not set unless `matrix` is given; `header` sets its fields."""
    made = nibabel.Nifti1Image(array, matrix)
    for field, value in header.items():
        made.header[field] = value
    return made


def saved(made, path):
    nibabel.save(made, path)
    return path


def write_raw(path, header, voxels=b"", vox_offset=352):
    """Write the header as it is, because nibabel's writer would correct it."""
    header["magic"], header["vox_offset"] = b"n+1", vox_offset
    content = header.binaryblock + bytes(4) + voxels
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("codes", [(4, 0), (0, 1), (2, 1), (0, 0)])
def test_the_affine_is_nibabels(tmp_path, kind, codes):
    made = kind(VOXELS, None)
    made.header["pixdim"][1:4] = (3, 3, 4)
    if codes[1]:
        made.header.set_qform(affine(), codes[1])
    if codes[0]:
        made.header.set_sform(SHEARED, codes[0])
    path = saved(made, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(load(path).affine, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_allclose(load(path).meta["original_affine"], nibabel.load(path).affine, atol=1e-5)


def test_a_sform_and_a_pixdim_of_different_sizes_are_noted(tmp_path, caplog):
    made = image()
    made.header["pixdim"][1:4] = (2, 3, 4)
    made.header.set_sform(np.diag([2, 3, 4, 1]), 1)
    load(saved(made, tmp_path / "a.nii"))
    assert not caplog.messages
    made.header.set_sform(np.eye(4), 1)
    path = saved(made, tmp_path / "a.nii")
    np.testing.assert_allclose(load(path).affine, np.eye(4))
    assert caplog.messages == [f"{path}: its voxels are 1×1×1 by its sform, which is used, but 2×3×4 by its pixdim."]


def test_what_is_saved_from_a_scan_lies_on_it(tmp_path):
    made = image()
    made.header.set_sform(SHEARED, 4)
    made.header["pixdim"][1:4] = (3, 3, 4)
    scan = load(saved(made, tmp_path / "a.nii.gz"))
    SaveImage(output_dir=tmp_path / "out", output_postfix="", separate_folder=False, print_log=False)(scan)
    written = nibabel.load(tmp_path / "out" / "a.nii.gz")
    np.testing.assert_allclose(written.affine, SHEARED, atol=1e-5)
    np.testing.assert_array_equal(written.get_fdata(), VOXELS)


@pytest.mark.parametrize(("unit", "millimetres"), [("micron", 0.001), ("mm", 1), ("meter", 1000), ("unknown", 1)])
def test_units_are_honoured(tmp_path, unit, millimetres):
    made = image(matrix=np.diag([2, 3, 4, 1]) + np.eye(4, k=3) * 7)
    made.header.set_xyzt_units(unit, "sec")
    truth = made.affine.copy()
    truth[:3] *= millimetres
    np.testing.assert_allclose(load(saved(made, tmp_path / "a.nii")).affine, truth, rtol=1e-6)


def test_voxels_are_scaled_and_of_either_byte_order(tmp_path):
    scaled = nibabel.Nifti1Image(VOXELS, affine(), nibabel.Nifti1Header(endianness=">"))
    scaled.header.set_slope_inter(0.5, -3)
    np.testing.assert_array_equal(load(saved(scaled, tmp_path / "a.nii"))[0], VOXELS * 0.5 - 3)


@pytest.mark.parametrize("name", ["compressed.nii", "plain.nii.gz"])
def test_the_content_says_whether_it_is_compressed(tmp_path, name):
    content = image(matrix=affine()).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name == "compressed.nii" else content)
    np.testing.assert_array_equal(load(tmp_path / name)[0], VOXELS)


def test_any_flipped_bit_of_a_compressed_file_is_noticed(tmp_path):
    content = bytearray(gzip.compress(image(matrix=affine()).to_bytes(), mtime=0))
    for place in np.random.default_rng(0).integers(10, len(content), 50):
        content[place] ^= 16
        (tmp_path / "a.nii.gz").write_bytes(content)
        content[place] ^= 16
        with refused("damaged"):
            load(tmp_path / "a.nii.gz")


def test_padding_behind_a_file_does_no_harm(tmp_path):
    content = image(matrix=affine()).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content) + bytes(100))
    (tmp_path / "b.nii").write_bytes(content + bytes(16))
    for name in ("a.nii.gz", "b.nii"):
        np.testing.assert_array_equal(load(tmp_path / name)[0], VOXELS)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("shape", [(12, 10, 7), (12, 10, 9), (6, 10, 8)])
def test_a_shape_that_does_not_match_the_size_is_refused(tmp_path, name, shape):
    header = image(matrix=affine()).header
    header.set_data_shape(shape)
    with refused("damaged", "cannot be read"):
        load(write_raw(tmp_path / name, header, VOXELS.tobytes(order="F")))


@pytest.mark.parametrize("vox_offset", [0, 348, -5])
def test_voxels_that_begin_within_the_header_are_refused(tmp_path, vox_offset):
    path = write_raw(tmp_path / "a.nii", image().header, VOXELS.tobytes(order="F"), vox_offset)
    with refused("damaged", f"voxels begin within it, at byte {vox_offset}"):
        load(path)


RGB = np.zeros((9, 10, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
RGBA = np.zeros((9, 10, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])


@pytest.mark.parametrize(
    ("made", "rule", "message"),
    [
        (image(VOXELS.astype(np.complex64)), "complex", "its voxels are complex numbers"),
        (image(RGB), "colour", r"its voxels are colours \(R, G, B\)"),
        (image(RGBA), "colour", r"its voxels are colours \(R, G, B, A\)"),
        (image(pixdim=(1, 0, 1, 1, 1, 1, 1, 1)), "spacing", r"spacing \(pixdim\) must be above 0, found 0, 1, 1"),
        (image(pixdim=(1, 1, 1, -2, 1, 1, 1, 1)), "spacing", "above 0, found 1, 1, -2"),
        (image(pixdim=(1, 1, np.nan, 1, 1, 1, 1, 1)), "spacing", "above 0, found 1, nan, 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, made, rule, message):
    with refused(rule, message):
        load(write_raw(tmp_path / "a.nii", made.header, np.asarray(made.dataobj).tobytes(order="F")))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_scan_that_would_fill_the_memory_is_refused_before_its_voxels_are_read(tmp_path, name):
    header = image().header
    header.set_data_shape((1500, 1500, 1500))
    with refused("too_large", r"1500×1500×1500 voxels, which take 12\.6 GiB of memory; the limit is"):
        load(write_raw(tmp_path / name, header))
