"""The order of DICOM slices in space, held against the position in each slice's own header."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.dicom_slice import DicomSlice
from models_genesis_bundle.data.scans.scan_compose import ScanError

__all__ = ["in_space", "lps_affine"]

_SAME_PLACE = 0.01  # of a pixel
_LARGEST_SHIFT = 0.1  # mm, and at most this share of the gap between two slices
_LARGEST_TILT = 0.5  # degrees
_SMALLEST_SLIP = 0.1  # mm by which the last slice is shifted against the first, below which a tilt is rounding
_GAP_TOLERANCE = 0.1
_NAMED_AT_MOST = 5


def in_space(folder: Path, slices: Sequence[DicomSlice], volume: int | None = None) -> list[DicomSlice]:
    """Order slices of the same orientation along their normal, one for each place.

    Args:
        folder: their folder, for errors.
        slices: the slices.
        volume: which image to take where several lie at each place, from 0 in the order of InstanceNumber.

    Raises:
        ScanError: several images lie at each place and none is named; more images lie at some places than at others.
    """
    normal = slices[0].axes[2]
    places: list[list[DicomSlice]] = []
    for one in sorted(slices, key=lambda one: (one.position @ normal, one.order)):
        if places and (one.position - places[-1][0].position) @ normal < _SAME_PLACE * one.spacing.min():
            places[-1].append(one)
        else:
            places.append([one])
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise ScanError(
            folder,
            f"{min(counts)} to {max(counts)} images lie at each place.",
            "Give the images of each volume a folder of their own.",
            "repeated_slices",
        )
    (count,) = counts
    if count == 1:
        return [place[0] for place in places]
    if volume is None:
        raise ScanError(
            folder,
            f"{count} images lie at each place (time points or echoes).",
            f"Name the one to take with volume=0 … {count - 1}, or give each volume a folder of its own.",
            "several_volumes",
        )
    if not 0 <= volume < count:
        raise ScanError(
            folder, f"it holds {count} volumes.", f"volume {volume} is none of them; count from 0.", "volume"
        )
    return [sorted(place, key=lambda one: one.order)[volume] for place in places]


def lps_affine(folder: Path, slices: Sequence[DicomSlice], unread: Sequence[str] = ()) -> np.ndarray:
    """The matrix from ``(column, row, slice)`` to LPS millimetres that agrees with the header of every slice.

    Args:
        folder: their folder, for errors.
        slices: what `in_space` gave.
        unread: names of files that could not be read, for the error where slices are missing.

    Returns:
        A 4 × 4 matrix that puts the first pixel of each slice within 0.1 mm of its ImagePositionPatient.

    Raises:
        ScanError: missing slices, uneven gaps, gantry tilt.
    """
    row, column, normal = slices[0].axes
    positions = np.stack([one.position for one in slices])
    steps = max(len(slices) - 1, 1)
    step = (positions[-1] - positions[0]) / steps if len(slices) > 1 else normal
    shifts = np.linalg.norm(positions - positions[0] - np.arange(len(slices))[:, None] * step, axis=1)
    if shifts.max() > _LARGEST_SHIFT * min(1.0, float(np.linalg.norm(step))):
        _refuse_gaps(folder, slices, np.diff(positions @ normal), shifts.max(), unread)
    slip = np.linalg.norm(step - step @ normal * normal)
    tilt = np.degrees(np.arctan2(slip, step @ normal))
    if tilt > _LARGEST_TILT and slip * steps > _SMALLEST_SLIP:
        raise ScanError(
            folder,
            f"its slices have a gantry tilt of {tilt:.1f} degrees: they do not lie straight above each other.",
            "Resample it to a straight grid, as dcm2niix does while it converts to NIfTI, or leave it out.",
            "gantry_tilt",
        )
    affine = np.eye(4)
    affine[:3] = np.stack([row * slices[0].spacing[0], column * slices[0].spacing[1], step, positions[0]], axis=1)
    return affine


def _refuse_gaps(
    folder: Path, slices: Sequence[DicomSlice], gaps: np.ndarray, shift: float, unread: Sequence[str]
) -> None:
    gap = np.median(gaps[gaps < 1.5 * gaps.min()])
    missing = np.round(gaps / gap).astype(int) - 1
    if missing.any() and np.allclose(gaps, (missing + 1) * gap, rtol=0, atol=_GAP_TOLERANCE * gap):
        where = [
            f"{missing[k]} between {slices[k].name} and {slices[k + 1].name}" for k in np.flatnonzero(missing).tolist()
        ]
        more = " …" if len(where) > _NAMED_AT_MOST else ""
        cause = f" Not readable: {', '.join(unread)}." if unread else ""
        raise ScanError(
            folder,
            f"slices are missing: {missing.sum()} of {missing.sum() + len(slices)} ({', '.join(where[:_NAMED_AT_MOST])}{more})."
            f"{cause}",
            "Copy the whole series again, or leave it out.",
            "missing_slices",
        )
    raise ScanError(
        folder,
        f"its slices are not evenly spaced: the gaps between them are {gaps.min():.4g} to {gaps.max():.4g} mm, "
        f"and a slice lies up to {shift:.3g} mm from its place on an even grid.",
        "Resample it to an even grid, as dcm2niix does while it converts to NIfTI, or leave it out.",
        "uneven_slices",
    )
