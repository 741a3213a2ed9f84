"""Cubes around given points of a volume, or in its middle."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

__all__ = ["corners_around", "middle_corner"]

_LARGEST_DISTANCE_OUTSIDE = 1.0


def middle_corner(shape: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """The lowest corner, in voxels, of the cube in the middle of a volume; negative where the volume is smaller."""
    return np.trunc((np.array(shape) - np.array(size)) / 2).astype(int)


def corners_around(
    points: Sequence[Sequence[float]], affine: np.ndarray, shape: Sequence[int], size: Sequence[int]
) -> np.ndarray:
    """The lowest corners of cubes around points.

    The voxel next to a point lies at ``size // 2`` of its cube, as in MONAI's ``SpatialCrop``.

    Args:
        points: in millimetres, in the LPS axes of ITK and DICOM (x to the patient's left, y to the back, z to the head),
            as in LUNA16's annotations.
        affine: from voxels to millimetres in RAS, 4 × 4 (3 × 3 in 2D).
        shape: sides of the volume in voxels.
        size: sides of the cubes in voxels.

    Returns:
        (points, axes), int; negative where a cube begins outside of the volume.

    Raises:
        ValueError: a point has another number of coordinates, or lies outside of the volume.

    Example:
        >>> corners_around([(-5.0, -5.0, 5.0)], np.eye(4), (10, 10, 10), (4, 4, 4)).tolist()
        [[3, 3, 3]]
    """
    dims = len(size)
    wrong = next((point for point in points if len(point) != dims), None)
    if wrong is not None:
        raise ValueError(f"A point needs {dims} coordinates for cubes of {tuple(size)}, got {wrong}.")
    ras = np.array(points, dtype=np.float64) * np.array([-1, -1, 1])[:dims]
    voxels = np.linalg.solve(affine[:dims, :dims], (ras - affine[:dims, -1]).T).T
    highest = np.array(shape) - 1
    outside = ((voxels < -_LARGEST_DISTANCE_OUTSIDE) | (voxels > highest + _LARGEST_DISTANCE_OUTSIDE)).any(axis=1)
    if outside.any():
        ends = np.array(list(itertools.product(*((0, end) for end in highest))))
        ends = (ends @ affine[:dims, :dims].T + affine[:dims, -1]) * np.array([-1, -1, 1])[:dims]
        reach = ", ".join(
            f"{low:.1f} … {high:.1f}" for low, high in zip(ends.min(axis=0), ends.max(axis=0), strict=True)
        )
        first = ", ".join(f"{value:.1f}" for value in points[int(np.flatnonzero(outside)[0])])
        raise ValueError(
            f"{int(outside.sum())} of {len(voxels)} points lie outside of the scan: the first is ({first}) mm, the scan "
            f"reaches over {reach} mm. Points must be in millimetres and LPS axes, as in ITK and LUNA16: for RAS (NIfTI, "
            "3D Slicer's display) change the signs of x and y."
        )
    return np.floor(voxels + 0.5).astype(int) - np.array(size) // 2
