"""Reading of NIfTI files."""

from __future__ import annotations

import gzip
import math
import os
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.raw_scan import RawScan, require_bytes, require_real_numbers, require_shape
from models_genesis_bundle.data.scans.scan_compose import ScanError
from nibabel import Nifti1Image, Nifti2Image

__all__ = ["read_nifti"]

_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_HEADER = 540
_BLOCK = 2**20
_SPATIAL_UNIT_BITS = 7
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # by NIfTI's code of metre and micron; others are millimetres


def read_nifti(path: Path) -> RawScan:
    """Read a NIfTI file, compressed or not, whatever its suffix says.

    The affine is nibabel's (sform, else qform, else pixdim), in millimetres. A gzip stream is read to its end, so that its
    checksum is compared.

    Raises:
        ScanError: complex or colour voxels, a spacing that is not above 0, a shape that is too large, or that does not
            match the file's size.
        Exception: whatever nibabel, gzip and zlib raise for a damaged file.
    """
    with open(path, "rb") as file:
        is_compressed = file.read(2) == _GZIP_MAGIC
    with gzip.open(path) if is_compressed else open(path, "rb") as stream:
        start = stream.read(_LARGEST_HEADER)
        kinds = [kind for kind in (Nifti1Image, Nifti2Image) if kind.header_class.may_contain_header(start)]
        if not kinds:
            raise ValueError("it does not start as NIfTI does")
        header = kinds[0].header_class(start[: kinds[0].header_class.template_dtype.itemsize], check=False)
        _check_header(path, header)
        stream.seek(0)
        image = kinds[0].from_stream(stream)
        proxy: Any = image.dataobj
        size = math.prod(image.shape) * header.get_data_dtype().itemsize
        if not is_compressed:
            require_bytes(path, image.shape, size, os.path.getsize(path) - int(proxy.offset))
        values = np.asanyarray(proxy)
        if is_compressed:
            require_bytes(path, image.shape, size, size + _rest(stream, size))
    affine = image.affine.copy()
    affine[:3] *= _MILLIMETRES.get(int(header["xyzt_units"]) & _SPATIAL_UNIT_BITS, 1.0)
    return RawScan(values, affine)


def _check_header(path: Path, header: Any) -> None:
    require_real_numbers(path, header.get_data_dtype())
    shape = header.get_data_shape()
    require_shape(path, shape)
    spacing = header["pixdim"][1 : 1 + min(len(shape), 3)]
    is_used = header["sform_code"] <= 0
    if is_used and not all(side > 0 for side, length in zip(spacing, shape, strict=False) if length > 1):
        raise ScanError(
            path,
            f"its spacing (pixdim) must be above 0, found {', '.join(f'{side:g}' for side in spacing)}.",
            "Write the right spacing into its header.",
            "spacing",
        )


def _rest(stream: BufferedIOBase, enough: int) -> int:
    """The number of bytes up to the end of the stream; counting stops when there are `enough`."""
    count = 0
    while count < enough and (block := stream.read(_BLOCK)):
        count += len(block)
    return count
