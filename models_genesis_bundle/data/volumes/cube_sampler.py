"""Drawing the places of training cubes in a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.volumes.cube_rules import BodyRule, CubeRule
from monai.utils import ensure_tuple_rep

__all__ = ["CubeSampler"]

Corner = tuple[int, ...]


@dataclass(frozen=True)
class CubeSampler:
    """Draw the corners of cubes uniformly among the places that a rule accepts, each place at most once.

    Args:
        cube_size: sides of a cube in voxels, one for each axis of the scan. A side of 1 makes slices: ``(64, 64, 1)``
            gives axial ones.
        margin: voxels at both ends of each axis that no cube covers, one number or one for each axis; ``(100, 100, 30)`` in
            the paper.
        rule: accepts or rejects a cube.
        max_attempts_per_cube: largest number of draws for each wanted cube (50 in the paper).
        small_scans: for a scan with a side below the cube, ``"pad"`` fills both ends with the darkest value of the range,
            ``"skip"`` leaves it out.

    Raises:
        ValueError: sizes below 1, a margin below 0, an unknown choice.

    Examples:
        >>> from models_genesis_bundle.data import CubeSampler, IntensityScaling
        >>> scan = np.zeros((1, 64, 64, 48), np.float32)
        >>> scan[:, 16:48, 16:48] = 0.5  # the body
        >>> len(CubeSampler(cube_size=(32, 32, 16)).sample(scan, IntensityScaling(), 3, np.random.default_rng(0)))
        3
    """

    cube_size: Sequence[int] = (64, 64, 32)
    margin: Sequence[int] | int = 0
    rule: CubeRule = field(default_factory=BodyRule)
    max_attempts_per_cube: int = 50
    small_scans: str = "pad"

    def __post_init__(self) -> None:
        size = tuple(int(side) for side in self.cube_size)
        margin = tuple(int(side) for side in ensure_tuple_rep(self.margin, len(size)))
        if len(size) not in (2, 3) or min(size) < 1:
            raise ValueError(f"CubeSampler: cube_size must be 2 or 3 sides of 1 voxel or more, got {size}.")
        if min(margin) < 0:
            raise ValueError(f"CubeSampler: margin must not be negative, got {margin}.")
        if self.max_attempts_per_cube < 1:
            raise ValueError(f"CubeSampler: max_attempts_per_cube must be 1 or more, got {self.max_attempts_per_cube}.")
        if self.small_scans not in ("pad", "skip"):
            raise ValueError(f"CubeSampler: small_scans must be 'pad' or 'skip', got {self.small_scans!r}.")
        object.__setattr__(self, "cube_size", size)
        object.__setattr__(self, "margin", margin)

    def padding(self, shape: Sequence[int]) -> list[tuple[int, int]]:
        """Voxels to add before and after each spatial axis of a scan of this shape so that a cube fits."""
        missing = [max(0, side - have) for side, have in zip(self.cube_size, shape, strict=True)]
        return [(lack // 2, lack - lack // 2) for lack in missing]

    def sample(
        self, scan: np.ndarray, intensity: IntensityScaling, count: int, rng: np.random.Generator
    ) -> list[Corner]:
        """Draw places of cubes.

        Args:
            scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, scaled by `intensity` and large enough for a cube.
            intensity: the scaling.
            count: number of cubes.
            rng: source of the draws.

        Returns:
            The lowest corners, in voxels, of `count` different cubes, or of fewer if the scan has no more places or the
            attempts run out.
        """
        shape = scan.shape[1:]
        if len(shape) != len(self.cube_size):
            raise ValueError(f"CubeSampler: cubes of {self.cube_size} do not fit a scan of shape {shape}.")
        if any(after for _, after in self.padding(shape)):
            raise ValueError(f"CubeSampler: a scan of {shape} is smaller than the cube {self.cube_size}: pad it first.")
        margin = ensure_tuple_rep(self.margin, len(shape))
        places = [have - side - 2 * free + 1 for have, side, free in zip(shape, self.cube_size, margin, strict=True)]
        if min(places) < 1:
            return []
        accepts = self.rule.prepare(scan, intensity)
        total, attempts = math.prod(places), count * self.max_attempts_per_cube
        if total <= attempts:
            drawn = rng.permutation(total)
        else:
            drawn = np.unique(rng.integers(total, size=attempts))
            rng.shuffle(drawn)
        corners = map(tuple, (np.column_stack(np.unravel_index(drawn, places)) + margin).tolist())
        return list(islice((corner for corner in corners if accepts(self.cube_at(corner))), count))

    def cube_at(self, corner: Sequence[int]) -> tuple[slice, ...]:
        """The cube with this lowest corner, as a slice for each spatial axis."""
        return tuple(slice(start, start + side) for start, side in zip(corner, self.cube_size, strict=True))

    def record(self) -> dict[str, Any]:
        """The sampler's settings as plain values."""
        return {
            "cube_size": list(self.cube_size),
            "margin": list(ensure_tuple_rep(self.margin, len(self.cube_size))),
            "rule": self.rule.record(),
            "max_attempts_per_cube": self.max_attempts_per_cube,
            "small_scans": self.small_scans,
        }
