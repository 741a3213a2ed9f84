"""The reader of each format that scans come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.dicom_image import read_flat_dicom
from models_genesis_bundle.data.scans.dicom_series import read_dicom_series
from models_genesis_bundle.data.scans.files import IMAGE_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix
from models_genesis_bundle.data.scans.itk_file import read_itk_file
from models_genesis_bundle.data.scans.nifti import read_nifti
from models_genesis_bundle.data.scans.raw_scan import LPS_TO_RAS, RawScan, require_real_numbers, require_shape
from models_genesis_bundle.data.scans.scan_compose import ScanError
from models_genesis_bundle.data.scans.text_header import TEXT_HEADER_SUFFIXES

__all__ = ["read_raw_scan"]

_GREY_MODES = ("1", "L", "I", "I;16", "F")


def read_raw_scan(path: Path, spatial_dims: int = 3, volume: int | None = None) -> RawScan:
    """Read a file or DICOM folder as it is.

    Args:
        path: the file, or a folder with one DICOM series.
        spatial_dims: with 2, a single DICOM file is an image as well.
        volume: which image to take where a DICOM series has several at each place; files of other formats are read whole.

    Raises:
        ScanError: the format is not known, or what the file holds cannot be used as a scan.
        Exception: whatever a library raises for a damaged file.
    """
    if path.is_dir():
        return read_dicom_series(path, volume)
    suffix = scan_suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return read_nifti(path)
    if suffix in TEXT_HEADER_SUFFIXES:
        return read_itk_file(path, spatial_dims)
    if suffix == ".npy":
        return _read_numpy(path)
    if suffix in IMAGE_SUFFIXES:
        return _read_picture(path)
    if spatial_dims == 2 and is_dicom_file(path):
        return read_flat_dicom(path)
    raise ScanError(
        path,
        "its suffix is of no known format.",
        f"Give a folder of DICOM slices or a file of {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)}.",
        "unknown_format",
    )


def _read_numpy(path: Path) -> RawScan:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    require_real_numbers(path, values.dtype)
    require_shape(path, values.shape)
    return RawScan(values, np.eye(4))


def _read_picture(path: Path) -> RawScan:
    """Read a picture as DICOM without geometry is read: axes in LPS, a pixel is 1 mm."""
    from PIL import Image

    with Image.open(path) as image:
        grey = image if image.mode in _GREY_MODES else image.convert("L")
        return RawScan(np.asarray(grey).T, LPS_TO_RAS)
