"""Readers for all file formats."""

from __future__ import annotations

import gzip
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.dicom_series import read_dicom_series, read_flat_dicom
from models_genesis_bundle.data.scans.files import IMAGE_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix
from models_genesis_bundle.data.scans.itk_file import TEXT_HEADER_SUFFIXES, read_itk_file
from models_genesis_bundle.data.scans.raw_scan import (
    LPS_TO_RAS,
    RawScan,
    ScanError,
    damaged,
    require_bytes,
    require_grey,
    require_shape,
    require_spacing,
)
from models_genesis_bundle.files import printable
from monai.data.utils import affine_to_spacing
from nibabel import Nifti1Image, Nifti2Image

logger = logging.getLogger(__name__)

_GREY_MODES = ("1", "L", "I", "I;16", "F")
_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_HEADER = 540
_SPATIAL_UNIT_BITS = 7
_SPACING_TOLERANCE = 0.01
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # by NIfTI's codes of metre and micron; other codes are millimetres


def read_raw_scan(path: Path, spatial_dims: int = 3) -> RawScan:
    """Read a file or a folder with one DICOM series; a damaged file may raise any exception."""
    suffix = scan_suffix(path)
    if path.is_dir():
        return read_dicom_series(path)
    if suffix in (".nii", ".nii.gz"):
        return _read_nifti(path)
    if suffix in TEXT_HEADER_SUFFIXES:
        return read_itk_file(path, spatial_dims)
    if suffix == ".npy":
        return _read_numpy(path)
    if suffix in IMAGE_SUFFIXES:
        return _read_picture(path)
    if spatial_dims == 2 and is_dicom_file(path):
        return read_flat_dicom(path)
    remedy = f"Give a folder of DICOM slices or a file of {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)}."
    raise ScanError(path, "its suffix is not that of a supported format.", remedy, "unknown_format")


def _read_numpy(path: Path) -> RawScan:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    require_grey(path, values.dtype.kind == "c", ", ".join(values.dtype.names or ()))
    require_shape(path, values.shape)
    return RawScan(values, np.eye(4))


def _read_picture(path: Path) -> RawScan:
    """Read a picture in grey, with LPS axes and pixels of 1 mm."""
    from PIL import Image

    with Image.open(path) as image:
        grey = image if image.mode in _GREY_MODES else image.convert("L")
        return RawScan(np.asarray(grey).T, LPS_TO_RAS)


def _read_nifti(path: Path) -> RawScan:
    """Read a NIfTI file, compressed or not, with nibabel's affine (sform, otherwise qform, otherwise pixdim).

    A gzip stream is read to its end to check it.
    """
    with open(path, "rb") as file:
        is_compressed = file.read(2) == _GZIP_MAGIC
    with gzip.open(path) if is_compressed else open(path, "rb") as stream:
        start = stream.read(_LARGEST_HEADER)
        kind = next((kind for kind in (Nifti1Image, Nifti2Image) if kind.header_class.may_contain_header(start)), None)
        if kind is None:
            raise ValueError("it does not start like NIfTI")
        header = kind.header_class(start[: kind.header_class.template_dtype.itemsize], check=False)
        _check_nifti_header(path, header)
        stream.seek(0)
        image = kind.from_stream(stream)
        proxy: Any = image.dataobj
        values = np.asanyarray(proxy)
        size = math.prod(image.shape) * header.get_data_dtype().itemsize
        stream.seek(proxy.offset + size)
        padding = stream.read(size // max(image.shape) + 1)
        require_bytes(path, image.shape, size, size + len(padding))
    _warn_of_two_spacings(path, header, image.affine)
    affine = image.affine.copy()
    affine[:3] *= _MILLIMETRES.get(int(header["xyzt_units"]) & _SPATIAL_UNIT_BITS, 1.0)
    return RawScan(values, affine)


def _check_nifti_header(path: Path, header: Any) -> None:
    dtype, shape = header.get_data_dtype(), header.get_data_shape()
    require_grey(path, dtype.kind == "c", ", ".join(dtype.names or ()))
    require_shape(path, shape)
    if header.is_single and header["vox_offset"] < header.single_vox_offset:  # libraries read the header as voxels
        raise damaged(path, f"its header says that the voxels begin within it, at byte {header['vox_offset']:g}.")
    if header["sform_code"] <= 0:  # the affine uses pixdim
        spacing = [side for side, length in zip(header["pixdim"][1:4], shape, strict=False) if length > 1]
        require_spacing(path, spacing, "spacing (pixdim)")


def _warn_of_two_spacings(path: Path, header: Any, affine: np.ndarray) -> None:
    in_affine, in_pixdim = affine_to_spacing(affine, 3), np.abs(header["pixdim"][1:4])
    differ = ~np.isclose(in_affine, in_pixdim, rtol=_SPACING_TOLERANCE, atol=0)
    if any(length > 1 and other for length, other in zip(header.get_data_shape(), differ, strict=False)):
        one, other = ("×".join(f"{side:g}" for side in sides) for sides in (in_affine, in_pixdim))
        message = "%s: its voxels are %s by its sform, which is used, but %s by its pixdim."
        logger.warning(message, printable(path), one, other)
