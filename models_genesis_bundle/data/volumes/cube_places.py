"""Where the cubes of a scan lie: drawn by a sampler, around given points, or in its middle."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler

__all__ = ["CubePlaces", "CubesAroundPoints", "NoCubesError", "PlacedCubes", "SampledCubes"]

Padding = list[tuple[int, int]]

_LARGEST_DISTANCE_OUTSIDE = 1.0


class NoCubesError(ValueError):
    """A scan gives no cubes; the message is a clause that says why."""


@dataclass(frozen=True)
class PlacedCubes:
    """A scan with the places of its cubes.

    Args:
        scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, padded where a cube would reach over its border.
        corners: lowest corners of the cubes, in voxels of the padded scan.
        padding: voxels added before and after each spatial axis.
    """

    scan: np.ndarray
    corners: Sequence[Sequence[int]]
    padding: Padding

    @property
    def is_padded(self) -> bool:
        """Whether any voxel was added."""
        return any(before or after for before, after in self.padding)


class CubePlaces(Protocol):
    """What the extraction asks for each scan."""

    @property
    def cube_size(self) -> Sequence[int]:
        """Sides of a cube in voxels."""

    @property
    def count(self) -> int:
        """How many cubes are wanted."""

    def place(
        self, scan: np.ndarray, affine: np.ndarray, intensity: IntensityScaling, rng: np.random.Generator
    ) -> PlacedCubes:
        """Find the places.

        Args:
            scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, scaled by `intensity`.
            affine: from its voxels to millimetres in RAS, 4 × 4 (3 × 3 in 2D).
            intensity: the scaling.
            rng: where draws come from.

        Raises:
            NoCubesError: the scan gives none.
        """


@dataclass(frozen=True)
class SampledCubes:
    """Cubes that a sampler draws.

    Args:
        sampler: draws the places.
        count: cubes wanted; a scan may give fewer.
    """

    sampler: CubeSampler
    count: int

    @property
    def cube_size(self) -> Sequence[int]:
        """Sides of a cube in voxels."""
        return self.sampler.cube_size

    def place(
        self, scan: np.ndarray, affine: np.ndarray, intensity: IntensityScaling, rng: np.random.Generator
    ) -> PlacedCubes:
        """Draw the places; see `CubePlaces.place`."""
        shape = scan.shape[1:]
        padding = self.sampler.padding(shape)
        if any(after for _, after in padding) and self.sampler.small_scans == "skip":
            raise NoCubesError(f"its shape {shape} is below the cube {self.cube_size}.")
        scan = _pad(scan, padding, intensity)
        corners = self.sampler.sample(scan, intensity, self.count, rng)
        if not corners:
            raise NoCubesError(
                f"no cube of {self.cube_size} with margin {self.sampler.margin} in its shape {scan.shape[1:]} "
                f"satisfies {self.sampler.rule}."
            )
        return PlacedCubes(scan, corners, padding)


@dataclass(frozen=True)
class CubesAroundPoints:
    """A cube around each of some points, or one in the middle of the scan.

    The voxel next to a point lies at ``cube_size // 2`` of its cube, as MONAI's ``SpatialCrop`` has it. Where a cube
    reaches over the scan's border it is filled with the darkest value of the range.

    Args:
        cube_size: sides of a cube in voxels, three or two entries.
        points: in millimetres, in ITK's and DICOM's axes LPS (x to the patient's left, y to the back, z to the head),
            as LUNA16's annotations have them; None for one cube in the middle of the scan.

    Raises:
        ValueError: a side below 1, or a point with another number of coordinates.
    """

    cube_size: Sequence[int]
    points: Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        if len(self.cube_size) not in (2, 3) or min(self.cube_size) < 1:
            raise ValueError(f"cube_size must be 2 or 3 sides of 1 voxel or more, got {tuple(self.cube_size)}.")
        wrong = next((point for point in self.points or () if len(point) != len(self.cube_size)), None)
        if wrong is not None:
            raise ValueError(
                f"A point needs {len(self.cube_size)} coordinates for cubes of {self.cube_size}, got {wrong}."
            )

    @property
    def count(self) -> int:
        """Number of the cubes, which are all cut."""
        return 1 if self.points is None else len(self.points)

    def place(
        self, scan: np.ndarray, affine: np.ndarray, intensity: IntensityScaling, rng: np.random.Generator
    ) -> PlacedCubes:
        """Find the points' voxels; see `CubePlaces.place`.

        Raises:
            ValueError: a point outside of the scan.
        """
        shape, size = np.array(scan.shape[1:]), np.array(self.cube_size)
        if self.points is None:
            corners = np.trunc((shape - size) / 2).astype(int)[None]
        else:
            voxels = self._voxels(affine)
            self._require_inside(voxels, shape, affine)
            corners = np.floor(voxels + 0.5).astype(int) - size // 2
        before = np.maximum(0, -corners.min(axis=0))
        after = np.maximum(0, (corners + size).max(axis=0) - shape)
        padding = [(int(low), int(high)) for low, high in zip(before, after, strict=True)]
        return PlacedCubes(_pad(scan, padding, intensity), (corners + before).tolist(), padding)

    def _voxels(self, affine: np.ndarray) -> np.ndarray:
        dims = len(self.cube_size)
        ras = np.array(self.points, dtype=np.float64) * np.array([-1, -1, 1])[:dims]
        return np.linalg.solve(affine[:dims, :dims], (ras - affine[:dims, -1]).T).T

    def _require_inside(self, voxels: np.ndarray, shape: np.ndarray, affine: np.ndarray) -> None:
        outside = (voxels < -_LARGEST_DISTANCE_OUTSIDE) | (voxels > shape - 1 + _LARGEST_DISTANCE_OUTSIDE)
        if not outside.any():
            return
        assert self.points is not None
        first = int(np.flatnonzero(outside.any(axis=1))[0])
        dims = len(shape)
        ends = np.array(list(itertools.product(*((0, side - 1) for side in shape))))
        ends = (ends @ affine[:dims, :dims].T + affine[:dims, -1]) * np.array([-1, -1, 1])[:dims]
        reach = ", ".join(
            f"{low:.1f} … {high:.1f}" for low, high in zip(ends.min(axis=0), ends.max(axis=0), strict=True)
        )
        point = ", ".join(f"{value:.1f}" for value in self.points[first])
        raise ValueError(
            f"{int(outside.any(axis=1).sum())} of {len(voxels)} points lie outside of the scan: the first is ({point}) "
            f"mm, the scan reaches over {reach} mm. Points must be in millimetres and LPS axes, as ITK and LUNA16 have "
            "them: for RAS (NIfTI, 3D Slicer's display) change the signs of x and y."
        )


def _pad(scan: np.ndarray, padding: Padding, intensity: IntensityScaling) -> np.ndarray:
    if not any(before or after for before, after in padding):
        return scan
    return np.pad(scan, [(0, 0), *padding], constant_values=intensity.value_range[0])
