import os

import numpy as np
import pytest
from empty_files import touch
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.scans.files import scan_fingerprint, scan_stem, scan_suffix
from scan_writers import write_scan

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.nii.gz", "a", ".nii.gz"),
        ("a.b.NII", "a.b", ".nii"),
        ("1.3.6.1.4.mhd", "1.3.6.1.4", ".mhd"),
        ("x.PNG", "x", ".png"),
        ("series.7", "series.7", ""),
        ("notes.gz", "notes.gz", ""),
    ],
)
def test_names(name, stem, suffix):
    assert scan_suffix(f"folder.nii/{name}") == suffix
    assert scan_stem(f"folder.nii/{name}") == stem


def test_scans_are_found_at_any_depth_in_order_and_nothing_else(tmp_path):
    wanted = ["a/deep/1.mha", "a/volume.mhd", "b.nii.gz", "c.NRRD", "z.npy"]
    touch(tmp_path, *wanted)
    touch(tmp_path, "a/volume.raw", "notes.txt", ".hidden.nii", "._b.nii.gz", ".cache/d.nii", "slice.png")
    assert [str(path.relative_to(tmp_path)) for path in look_below(tmp_path).scans] == wanted
    assert tmp_path / "slice.png" in look_below(tmp_path, spatial_dims=2).scans


def test_linked_folders_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/a.nii")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    assert look_below(tmp_path / "data").scans == [tmp_path / "data" / "link" / "a.nii"]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mhd", "a.nhdr", "series"])
def test_a_change_of_any_file_that_belongs_to_a_scan_shows(tmp_path, name):
    scan = write_scan(tmp_path / name, VOXELS)
    before = scan_fingerprint(scan)
    assert len(before) == 16
    assert int(before, 16) >= 0
    assert scan_fingerprint(scan) == before
    for file in sorted(scan.iterdir() if scan.is_dir() else tmp_path.iterdir()):
        time = file.stat().st_mtime_ns
        os.utime(file, ns=(0, time + 1))
        assert scan_fingerprint(scan) != before, file.name
        os.utime(file, ns=(0, time))
        assert scan_fingerprint(scan) == before
        file.write_bytes(file.read_bytes() + b"\0")
        os.utime(file, ns=(0, time))
        assert scan_fingerprint(scan) != before, file.name
        file.write_bytes(file.read_bytes()[:-1])
        os.utime(file, ns=(0, time))


def test_slices_that_are_renamed_added_or_removed_show(tmp_path):
    scan = write_scan(tmp_path / "series", VOXELS)
    before = scan_fingerprint(scan)
    slice_ = next(scan.iterdir())
    renamed = slice_.rename(scan / "9.dcm")
    assert scan_fingerprint(scan) != before
    renamed.rename(slice_)
    (scan / ".DS_Store").write_bytes(b"")
    assert scan_fingerprint(scan) == before
    (scan / "new.dcm").write_bytes(b"")
    assert scan_fingerprint(scan) != before


@pytest.mark.parametrize("header", ["a.mhd", "a.nhdr"])
def test_data_belong_to_the_header_that_names_them_and_to_no_other(tmp_path, header):
    scan = write_scan(tmp_path / header, VOXELS)
    data = next(file for file in tmp_path.iterdir() if file != scan)
    other = data.rename(tmp_path / "of another name.raw")
    scan.write_bytes(scan.read_bytes().replace(data.name.encode(), other.name.encode()))
    before = scan_fingerprint(scan)
    (tmp_path / "a.txt").write_text("a neighbour of the same stem")
    assert scan_fingerprint(scan) == before
    other.write_bytes(bytes(other.stat().st_size))
    assert scan_fingerprint(scan) != before
    other.unlink()
    assert scan_fingerprint(scan) not in (before, "")


def test_a_moved_folder_keeps_its_fingerprint_and_a_missing_scan_has_none(tmp_path):
    scan = write_scan(tmp_path / "a" / "ct.mhd", VOXELS)
    before = scan_fingerprint(scan)
    (tmp_path / "a").rename(tmp_path / "b")
    assert scan_fingerprint(tmp_path / "b" / "ct.mhd") == before
    assert scan_fingerprint(scan) == scan_fingerprint(tmp_path / "none.nii") == ""
