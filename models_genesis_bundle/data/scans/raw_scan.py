"""A scan as stored in its file, and checks before its voxels are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_genesis_bundle.files import printable
from models_genesis_bundle.messages import causes
from monai.config import PathLike

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_VOXELS = 2**31
_GIB = 2**30


@dataclass(frozen=True)
class RawScan:
    """Voxels and geometry of a file."""

    values: np.ndarray  # (X, Y), (X, Y, Z) or with further axes, in the file's unit
    affine: np.ndarray  # 4 × 4 matrix from voxel indices to RAS millimetres
    modality: str = ""  # DICOM's abbreviation (CT, MR, PT …), or "" if unknown


class ScanError(ValueError):
    """A scan cannot be used.

    Args:
        file: the scan's file or folder.
        found: what is wrong with it, as a sentence.
        remedy: what to do about it, as a sentence.
        rule: identifier of the reason for logs and tables, such as ``constant`` or ``missing_slices``.
    """

    def __init__(self, file: PathLike, found: str, remedy: str, rule: str = "unreadable") -> None:
        super().__init__(str(file), found, remedy, rule)
        self.file, self.found, self.remedy, self.rule = str(file), found, remedy, rule

    def __str__(self) -> str:
        """The message, with escapes for bytes of file names that are not UTF-8."""
        return printable(f"{self.file}: {self.found} {self.remedy}")


def scan_error_in(error: BaseException) -> ScanError | None:
    """The `ScanError` that MONAI wrapped into `error`; None for any other error."""
    return next((cause for cause in causes(error) if isinstance(cause, ScanError)), None)


def damaged(path: Path, found: str) -> ScanError:
    """The error for a file that is damaged."""
    return ScanError(path, found, "It may be truncated or damaged: copy it again, or leave it out.", "damaged")


def require_shape(path: Path, shape: Sequence[int]) -> None:
    """Refuse a shape with a side below 1, or with more than 2³¹ voxels (8 GiB as float32)."""
    sides = "×".join(map(str, shape))
    if any(side < 1 for side in shape):
        raise damaged(path, f"its header gives it {sides} voxels.")
    voxels = math.prod(int(side) for side in shape)
    if voxels > MOST_VOXELS:
        raise ScanError(
            path,
            f"its header gives it {sides} voxels, which take {4 * voxels / _GIB:.1f} GiB of memory; "
            f"the limit is {4 * MOST_VOXELS / _GIB:.0f} GiB.",
            "Check the header; crop, resample or split the scan if it is right.",
            "too_large",
        )


def require_bytes(path: Path, shape: Sequence[int], expected: int, found: int) -> None:
    """Refuse a file with fewer bytes of voxels than its header says, or with more than a slice of additional bytes."""
    if not expected <= found < expected + max(expected // max(shape), 1):
        size = found if found < expected else f"at least {found}"
        raise damaged(
            path,
            f"it cannot be read (its header gives it {'×'.join(map(str, shape))} voxels, which take {expected} bytes; "
            f"found {size}).",
        )


def require_spacing(path: Path, spacing: Sequence[float], name: str = "spacing") -> None:
    """Refuse a voxel size that is not above 0."""
    if not all(side > 0 for side in spacing):
        found = f"its {name} must be above 0, found {', '.join(f'{side:g}' for side in spacing)}."
        raise ScanError(path, found, "Write the right spacing into its header.", "spacing")


def require_grey(path: Path, is_complex: bool, colours: str) -> None:
    """Refuse complex numbers and colours; `colours` are their names, or ``""``."""
    if is_complex:
        remedy = "Save their magnitude (numpy.abs) as a separate scan."
        raise ScanError(path, "its voxels are complex numbers.", remedy, "complex")
    if colours:
        remedy = "Give the original grey-level scan, or save one channel as a separate scan."
        raise ScanError(path, f"its voxels are colours ({colours}).", remedy, "colour")
