"""Voxel size and cube size for a set of scans."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from models_genesis_bundle.data.scans.preprocessing import resampled_shape
from models_genesis_bundle.data.scans.quality import ScanFacts

SMALLEST_SIDE = 16
_ANISOTROPY = 3.0
_PADDED = 2


def target_spacing(facts: Sequence[ScanFacts]) -> tuple[list[float], str]:
    """The voxel size after resampling, in mm with three digits, and the reason.

    It follows nnU-Net's rule: the median along each axis. If one axis is more than three times as coarse as the others and
    has less than a third of their voxels, its size is the 10th percentile, but not finer than the other axes.

    Based on: Isensee et al., "nnU-Net", Nature Methods 18, 2021, 203-211.
    """
    spacings = np.array([scan.spacing for scan in facts])
    shape = np.median([scan.shape for scan in facts], axis=0)
    target = np.median(spacings, axis=0)
    coarse = int(target.argmax())
    others, other_sides = np.delete(target, coarse), np.delete(shape, coarse)
    reason = "nnU-Net's rule: the median of the scans"
    if target[coarse] > _ANISOTROPY * others.max() and shape[coarse] * _ANISOTROPY < other_sides.min():
        target[coarse] = max(np.percentile(spacings[:, coarse], 10), others.max())
        reason += ", for the coarse axis the 10th percentile, so that thin slices keep their detail"
    ends = [(f"{low:.3g}", f"{high:.3g}") for low, high in zip(spacings.min(0), spacings.max(0), strict=True)]
    lengths = ", ".join(low if low == high else f"{low} to {high}" for low, high in ends)
    return [float(f"{side:.3g}") for side in target], f"{reason}. Along each axis the scans have {lengths} mm."


def sides_after_resampling(facts: Sequence[ScanFacts], spacing: Sequence[float]) -> np.ndarray:
    """Voxels of each scan along each axis after resampling to `spacing`, (scans, axes)."""
    return np.array([resampled_shape(scan.shape, scan.spacing, spacing) for scan in facts])


def cube_sides(limits: Sequence[float], spacing: Sequence[float], voxels: int, divisor: int) -> list[int]:
    """Sides, in voxels, of a cube with the same length in mm along each axis, if the scans are large enough.

    If a limit shortens a side, the other sides grow until the cube has `voxels` again or they reach their limits.
    Sides that differ by one step along axes of the same spacing become equal.

    Args:
        limits: voxels of a scan along each axis; a side may be 2 voxels longer.
        spacing: side of a voxel in mm.
        voxels: approximate number of voxels in the whole cube.
        divisor: each side is a multiple of it. A side has 16 voxels or more, because the deformations need them.
    """
    least = -(-SMALLEST_SIDE // divisor) * divisor
    largest = np.maximum((np.asarray(limits) + _PADDED) // divisor * divisor, least)
    sides = 1 / np.asarray(spacing)
    free = np.ones(len(sides), dtype=bool)
    while free.any():
        sides[free] *= (voxels / np.prod(largest[~free]) / np.prod(sides[free])) ** (1 / free.sum())
        cut = free & (sides >= largest)
        if not cut.any():
            break
        free &= ~cut
    sides = np.where(free, np.clip(np.round(sides / divisor) * divisor, least, largest), largest)
    for first, second in itertools.combinations(range(len(sides)), 2):
        if np.isclose(spacing[first], spacing[second]) and abs(sides[first] - sides[second]) == divisor:
            sides[[first, second]] = min(sides[first], sides[second])
    return [int(side) for side in sides]
