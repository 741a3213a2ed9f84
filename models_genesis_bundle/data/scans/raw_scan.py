"""What a reader takes out of a file, and what it refuses before the voxels are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.scan_compose import ScanError

__all__ = ["LPS_TO_RAS", "RawScan", "require_bytes", "require_real_numbers", "require_shape"]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOST_VOXELS = 2**31
_GIB = 2**30


@dataclass(frozen=True)
class RawScan:
    """Voxels and geometry as the file says.

    Args:
        values: ``(X, Y)``, ``(X, Y, Z)`` or with further axes, in the file's unit.
        affine: 4 × 4 matrix from voxel indices to RAS millimetres.
        modality: as DICOM abbreviates it (``CT``, ``MR``, ``PT`` …), or ``""`` if the file does not say.
    """

    values: np.ndarray
    affine: np.ndarray
    modality: str = ""


def require_shape(path: Path, shape: Sequence[int]) -> None:
    """Refuse a header whose shape is impossible or needs more memory than a scan may.

    Raises:
        ScanError: a side below 1, or more than 2³¹ voxels (8 GiB as float32).
    """
    sides = "×".join(str(side) for side in shape)
    if any(side < 1 for side in shape):
        raise ScanError(
            path,
            f"its header gives it {sides} voxels.",
            "It may be damaged: copy it again, or leave it out.",
            "damaged",
        )
    voxels = math.prod(int(side) for side in shape)
    if voxels > _MOST_VOXELS:
        raise ScanError(
            path,
            f"its header gives it {sides} voxels, which take {4 * voxels / _GIB:.1f} GiB of memory; "
            f"the limit is {4 * _MOST_VOXELS / _GIB:.0f} GiB.",
            "Check the header; crop, resample or split the scan if it is right.",
            "too_large",
        )


def require_bytes(path: Path, shape: Sequence[int], expected: int, found: int) -> None:
    """Refuse a file whose size does not match its header; a little padding is fine, a whole slice is not.

    Args:
        path: the file.
        shape: what the header says.
        expected: bytes that these voxels take.
        found: bytes of voxels in the file.

    Raises:
        ScanError: there are fewer bytes, or more by a slice.
    """
    if not expected <= found < expected + max(expected // max(shape), 1):
        raise ScanError(
            path,
            f"it cannot be read (its header gives it {'×'.join(map(str, shape))} voxels, which take {expected} bytes; "
            f"found {found if found < expected else f'at least {found}'}).",
            "It may be truncated or damaged: copy it again, or leave it out.",
            "damaged",
        )


def require_real_numbers(path: Path, dtype: np.dtype) -> None:
    """Refuse voxels that are no real numbers.

    Raises:
        ScanError: complex numbers, colours or anything else.
    """
    if dtype.kind == "c":
        raise ScanError(
            path, "its voxels are complex numbers.", "Save their magnitude (numpy.abs) as a scan of its own.", "complex"
        )
    if dtype.names:
        raise ScanError(
            path,
            f"its voxels are colours ({', '.join(dtype.names)}).",
            "Give the scan that the colours were made from, or save one channel as a scan of its own.",
            "colour",
        )
    if dtype.kind not in "biuf":
        raise ScanError(path, f"its voxels are of the type {dtype}, not numbers.", "Save them as numbers.")
