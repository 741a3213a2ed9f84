"""A volume in which shapes with soft edges are painted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Box = tuple[slice, ...]
Point = Sequence[float] | np.ndarray


class PhantomCanvas:
    """A CT volume in HU, centred on the origin, with axes to the right, the front and the head.

    A shape is an array of signed distances in millimetres, positive inside. A voxel on an edge gets a mixture of both sides.

    Args:
        size: voxels along X, Y, Z.
        spacing: sides of a voxel in millimetres.
        background: initial HU of all voxels.
    """

    def __init__(self, size: Sequence[int], spacing: Sequence[float], background: float) -> None:
        self.size = tuple(size)
        self.spacing = np.asarray(spacing, dtype=np.float32)
        sides = zip(size, spacing, strict=True)
        self.axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * step for n, step in sides]
        self.x, self.y, self.z = np.meshgrid(*self.axes, indexing="ij", sparse=True)
        self.hu = np.full(self.size, background, dtype=np.float32)
        self.edge = float(np.mean(self.spacing))

    def paint(self, distance: np.ndarray, hu: float | np.ndarray, box: Box = ()) -> None:
        """Mix HU into the voxels of a box, or of the whole volume, by the fraction of each voxel that the shape covers."""
        target = self.hu[box]
        covered = np.clip(distance / self.edge + 0.5, 0, 1)
        target += covered * (hu - target)

    def paint_tube(self, path: Sequence[Point] | np.ndarray, radius: float, hu: float) -> None:
        """Paint a tube along a path of points in millimetres."""
        for start, end in pairwise(path):
            self.paint_capsule(start, end, (radius, radius), hu)

    def paint_capsule(self, start: Point, end: Point, radii: tuple[float, float], hu: float) -> None:
        """Paint a tube between two points, with a radius that changes linearly."""
        first, last = np.asarray(start, dtype=np.float32), np.asarray(end, dtype=np.float32)
        reach = max(radii) + self.edge
        box = self.box(np.minimum(first, last) - reach, np.maximum(first, last) + reach)
        points = self.points(box)
        along = last - first
        length2 = np.float32(max(float(along @ along), 1e-6))
        share = np.clip(sum((p - s) * a for p, s, a in zip(points, first, along, strict=True)) / length2, 0, 1)
        away = np.sqrt(sum((p - s - share * a) ** 2 for p, s, a in zip(points, first, along, strict=True)))
        self.paint(radii[0] + (radii[1] - radii[0]) * share - away, hu, box)

    def ellipsoid(self, centre: Point, axes: Point, power: float = 2.0) -> np.ndarray:
        """Approximate signed distance of a superellipsoid with half axes in millimetres."""
        parts = (np.abs((p - c) / a) ** power for p, c, a in zip((self.x, self.y, self.z), centre, axes, strict=True))
        return (1 - sum(parts) ** (1 / power)) * np.float32(min(axes))

    def points(self, box: Box) -> list[np.ndarray]:
        """The coordinates of a box's voxels in millimetres, as one array for each axis, to be broadcast."""
        axes = (axis[part] for axis, part in zip(self.axes, box, strict=True))
        return list(np.meshgrid(*axes, indexing="ij", sparse=True))

    def box(self, low: Point, high: Point) -> Box:
        """The voxels between two corners in millimetres; empty if the box lies outside of the grid."""
        return tuple(
            slice(int(np.searchsorted(axis, a)), int(np.searchsorted(axis, b, side="right")))
            for axis, a, b in zip(self.axes, low, high, strict=True)
        )
