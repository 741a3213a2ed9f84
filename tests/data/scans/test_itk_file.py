"""NRRD and MetaImage files: their headers, data files and what is refused."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from models_genesis_bundle.data import ScanError
from reading import VOXELS, load, refused
from scan_writers import affine, write_scan

PAYLOAD = VOXELS.tobytes(order="F")


def meta_image(data="LOCAL", sides="12 10 8", spacing="2 3 4", kind="MET_SHORT", more=""):
    axes = len(sides.split())
    return (
        f"ObjectType = Image\nNDims = {axes}\nBinaryData = True\n{more}ElementSpacing = {spacing}\nDimSize = {sides}\n"
        f"ElementType = {kind}\nElementDataFile = {data}\n"
    ).encode()


def nrrd(sides="12 10 8", fields="spacings: 2 3 4\n", kind="short", data=""):
    axes = len(sides.split())
    return (
        f"NRRD0004\ntype: {kind}\ndimension: {axes}\nsizes: {sides}\nendian: little\nencoding: raw\n{fields}{data}\n"
    ).encode()


def directed(vectors, units='"mm" "mm" "mm"'):
    return nrrd(fields=f"space: LPS\nspace directions: {vectors}\nspace origin: (10,20,30)\nspace units: {units}\n")


def kinds(first):
    return f"kinds: {first} domain domain domain\n"


@pytest.mark.parametrize(("slope", "offset"), [("1", "0"), ("2", "-1024"), ("0.5", "0")])
def test_the_intensity_function_of_meta_image_is_applied(tmp_path, slope, offset):
    more = f"ElementToIntensityFunctionSlope = {slope}\nElementToIntensityFunctionOffset = {offset}\n"
    (tmp_path / "a.mha").write_bytes(meta_image(more=more) + PAYLOAD)
    np.testing.assert_allclose(load(tmp_path / "a.mha")[0], VOXELS * float(slope) + float(offset))


def test_an_intensity_function_that_is_no_number_is_refused(tmp_path):
    (tmp_path / "a.mha").write_bytes(meta_image(more="ElementToIntensityFunctionSlope = 1,5\n") + PAYLOAD)
    with refused("rescale", "slope 1,5 and the offset 0, which are not numbers"):
        load(tmp_path / "a.mha")


@pytest.mark.parametrize(
    ("name", "with_spacing", "without"),
    [
        ("a.mha", meta_image(), meta_image().replace(b"ElementSpacing = 2 3 4\n", b"")),
        ("a.nrrd", nrrd(), nrrd(fields="")),
    ],
)
def test_a_header_without_spacing_is_noted(tmp_path, caplog, name, with_spacing, without):
    (tmp_path / name).write_bytes(with_spacing + PAYLOAD)
    load(tmp_path / name)
    assert not caplog.messages
    (tmp_path / name).write_bytes(without + PAYLOAD)
    np.testing.assert_allclose(np.abs(np.diag(load(tmp_path / name).affine)), 1)
    assert caplog.messages == [f"{tmp_path / name}: its header gives no spacing; a voxel is assumed to be 1 mm."]


@pytest.mark.parametrize("name", ["SCAN.MHA", "SCAN.MHD", "Scan.Nrrd", "SCAN.NHDR", "SCAN.NII.GZ"])
def test_a_suffix_may_be_in_capitals(tmp_path, name):
    path = write_scan(tmp_path / name.lower(), VOXELS).rename(tmp_path / name)
    np.testing.assert_array_equal(load(path)[0], VOXELS)
    np.testing.assert_allclose(load(path).affine, affine(), atol=1e-5)
    assert load(path).meta["filename_or_obj"] == str(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npy"])
def test_a_name_may_be_any_bytes(tmp_path, name):
    folder = tmp_path / os.fsdecode(b"s\xe9rie")
    path = write_scan(tmp_path / "plain" / name, VOXELS)
    path.parent.rename(folder)
    np.testing.assert_array_equal(load(folder / name)[0], VOXELS)
    (folder / name).write_bytes(b"")
    with pytest.raises(ScanError) as raised:
        load(folder / name)
    assert f"s\\udce9rie/{name}: it cannot be read" in str(raised.value)
    assert str(raised.value).encode("utf-8")


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_a_name_that_itk_cannot_take_is_refused(tmp_path, name):
    path = write_scan(tmp_path / "plain" / name, VOXELS)
    path.parent.rename(tmp_path / os.fsdecode(b"s\xe9rie"))
    with refused("name", "its name is not UTF-8"):
        load(tmp_path / os.fsdecode(b"s\xe9rie") / name)


@pytest.mark.parametrize("data", ["LIST\n0.raw\n/etc/passwd\n", "s%02d.raw 0 7 1\n", "../s%d.raw 1 3\n"])
def test_voxels_in_several_files_are_refused(tmp_path, data):
    (tmp_path / "a.mhd").write_bytes(meta_image(data))
    (tmp_path / "a.nhdr").write_bytes(nrrd(data=f"data file: {data}"))
    for name in ("a.mhd", "a.nhdr"):
        with refused("several_files", "its voxels are in several files"):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.raw", "sub/../../x.raw", r"C:\x.raw", r"..\x.raw"])
def test_data_outside_the_headers_folder_are_refused(tmp_path, name):
    (tmp_path / "x.raw").write_bytes(PAYLOAD)
    (tmp_path / "sub").mkdir()
    headers = {"a.mhd": meta_image(name), "a.mha": meta_image(name)}
    headers |= {"a.nhdr": nrrd(data=f"data file: {name}\n"), "a.nrrd": nrrd(data=f"datafile: {name}\n")}
    for header, content in headers.items():
        (tmp_path / "sub" / header).write_bytes(content)
        with refused("data_outside", f"{re.escape(name)} is not next to it"):
            load(tmp_path / "sub" / header)


def test_several_volumes_are_refused_or_chosen_by_name(tmp_path):
    four = np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=-1)
    last = four.tobytes(order="F")
    first = np.moveaxis(four, -1, 0).tobytes(order="F")
    directions = "space: LPS\nspace directions: {}\nspace origin: (0,0,0)\nkinds: {}\n"
    vectors = "(2,0,0) (0,3,0) (0,0,4)"
    domains = "domain domain domain"
    files = {
        "list.nrrd": nrrd("12 10 8 3", directions.format(f"{vectors} none", f"{domains} list")) + last,
        "vector.nrrd": nrrd("3 12 10 8", directions.format(f"none {vectors}", f"vector {domains}")) + first,
        "plain.nrrd": nrrd("12 10 8 3", "spacings: 2 3 4 1\n") + last,
        "four.mha": meta_image(sides="12 10 8 3", spacing="2 3 4 1") + last,
        "channels.mha": meta_image(more="ElementNumberOfChannels = 3\n") + first,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with refused("several_volumes", "3 volumes"):
            load(tmp_path / name)
        np.testing.assert_array_equal(load(tmp_path / name, volume=2)[0], VOXELS + 2, err_msg=name)
        np.testing.assert_allclose(load(tmp_path / name, volume=2).pixdim, (2, 3, 4), err_msg=name)


@pytest.mark.parametrize(
    ("name", "content", "rule", "message"),
    [
        ("a.mha", meta_image(spacing="0 3 4") + PAYLOAD, "spacing", "spacing must be above 0, found 0, 3, 4"),
        ("a.mha", meta_image(spacing="2 3 -4") + PAYLOAD, "spacing", "above 0, found 2, 3, -4"),
        ("a.nrrd", nrrd(fields="spacings: 0 1 1\n") + PAYLOAD, "damaged", r"axis 0 spacing \(0\) invalid"),
        ("a.nrrd", nrrd(fields="spacings: 1 -1 1\n") + PAYLOAD, "spacing", "above 0, found 1, -1, 1"),
        ("a.nrrd", directed("(1,0,0) (0,0,0) (0,0,1)") + PAYLOAD, "spacing", "above 0, found 1, 0, 1"),
        ("a.nrrd", nrrd("3 12 10 8", kinds("RGB-color"), "uchar") + bytes(2880), "colour", r"colours \(RGB\)"),
        ("a.nrrd", nrrd("2 12 10 8", kinds("complex")) + PAYLOAD * 2, "complex", "complex numbers"),
        ("a.mha", meta_image(sides="1500 1500 1500") + PAYLOAD, "too_large", r"take 12\.6 GiB of memory; the limit"),
        ("a.nrrd", nrrd("1500 1500 1500") + PAYLOAD, "too_large", r"take 12\.6 GiB of memory; the limit"),
        ("a.mha", meta_image(sides="12 10 9") + PAYLOAD, "damaged", "cannot be read"),
        ("a.mha", meta_image(sides="12 10 7") + PAYLOAD, "damaged", "12×10×7 voxels, which take 1680 bytes; found at "),
        ("a.nrrd", nrrd("12 10 7") + PAYLOAD, "damaged", "12×10×7 voxels, which take 1680 bytes; found at least"),
        ("a.nrrd", directed("(1,0,0) (0,1,0) (0,0,1)", '"mm" "mm" "s"') + PAYLOAD, "units", "unit of length is"),
        ("a.nrrd", nrrd().replace(b"raw", b"bzip2") + PAYLOAD, "encoding", "its encoding bzip2 is not supported"),
        ("a.mhd", meta_image("gone.raw"), "missing_data", "its data file gone.raw does not exist"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, content, rule, message):
    (tmp_path / name).write_bytes(content)
    with refused(rule, message):
        load(tmp_path / name)


@pytest.mark.parametrize(("unit", "millimetres"), [("um", 0.001), ("cm", 10), ("mm", 1)])
def test_units_are_honoured(tmp_path, unit, millimetres):
    (tmp_path / "a.nrrd").write_bytes(directed("(2,0,0) (0,3,0) (0,0,4)", " ".join([f'"{unit}"'] * 3)) + PAYLOAD)
    (tmp_path / "a.mha").write_bytes(meta_image(more=f"DistanceUnits = {unit}\nOffset = 10 20 30\n") + PAYLOAD)
    expected = np.diag([-2 * millimetres, -3 * millimetres, 4 * millimetres, 1])
    expected[:3, 3] = np.array([-10, -20, 30]) * millimetres
    for name in ("a.nrrd", "a.mha"):
        np.testing.assert_allclose(load(tmp_path / name).affine, expected, err_msg=name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd", "a.nhdr"])
def test_any_flipped_bit_of_compressed_voxels_is_noticed(tmp_path, name):
    path = write_scan(tmp_path / name, VOXELS, compression=True)
    file = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    for place in len(content) - np.random.default_rng(0).integers(1, 1500, 25):
        content[place] ^= 16
        file.write_bytes(content)
        content[place] ^= 16
        with pytest.raises(ScanError, match="truncated or damaged"):
            load(path)


def test_the_modality_is_told(tmp_path):
    (tmp_path / "a.mha").write_bytes(meta_image(more="Modality = MET_MOD_MR\n") + PAYLOAD)
    (tmp_path / "a.nrrd").write_bytes(nrrd(fields="modality:=CT\n") + PAYLOAD)
    assert load(tmp_path / "a.mha").meta["modality"] == "MR"
    assert load(tmp_path / "a.nrrd").meta["modality"] == "CT"
    assert load(write_scan(tmp_path / "a.nii", VOXELS)).meta["modality"] == ""
