"""Rules that say which cubes of a scan are worth learning from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.volumes.body_mask import body_mask

__all__ = ["BodyRule", "CubeRule", "LungRule"]

CubeTest = Callable[[tuple[slice, ...]], bool]


@runtime_checkable
class CubeRule(Protocol):
    """What a rule offers to a `CubeSampler`."""

    def prepare(self, scan: np.ndarray, intensity: IntensityScaling) -> CubeTest:
        """Do what is needed once for a scan.

        Args:
            scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, scaled by `intensity`.
            intensity: the scaling, for thresholds in the scan's unit.

        Returns:
            A function from the cube's place (a slice for each spatial axis) to whether it is kept.
        """

    def record(self) -> dict[str, Any]:
        """Plain values that name the rule and its settings."""


@dataclass(frozen=True)
class BodyRule:
    """Keep a cube that holds enough body; for any CT or MR body region.

    Air around the patient, couch and padding are not body, lungs and other enclosed air are; see
    `models_genesis_bundle.data.volumes.body_mask.body_mask`.

    Args:
        min_body: least share of the cube's voxels inside the body, in [0, 1].

    Examples:
        >>> from models_genesis_bundle.data import BodyRule, CubeSampler
        >>> sampler = CubeSampler(cube_size=(32, 32, 16), rule=BodyRule(min_body=0.8))
    """

    min_body: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.min_body <= 1:
            raise ValueError(f"BodyRule: min_body must lie in 0 … 1, got {self.min_body}.")

    def prepare(self, scan: np.ndarray, intensity: IntensityScaling) -> CubeTest:
        """Make the body mask of a scan; see `CubeRule.prepare`."""
        mask, factors = body_mask(scan)

        def holds_body(cube: tuple[slice, ...]) -> bool:
            place = tuple(
                slice(side.start // factor, -(-side.stop // factor)) for side, factor in zip(cube, factors, strict=True)
            )
            return bool(mask[place].mean() >= self.min_body)

        return holds_body

    def record(self) -> dict[str, Any]:
        """Plain values that name the rule and its settings."""
        return {"name": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class LungRule:
    """Keep a cube whose dense part is small; the paper's rule for chest CT, which gives mostly lung.

    A voxel at or above `threshold` scores 1, one below it whose neighbour in the next slice along Z is at or above
    scores 0.5, any other 0; the mean over the cube must not exceed `max_dense`. For the cube's last slice, the next
    one is that of the scan; after the scan's last slice there is none. Use it with the paper's margin of
    ``(100, 100, 30)`` voxels and a scaling with a fixed unit; 3D only. It takes air around the patient for lung: what
    keeps air out is the margin.

    Args:
        threshold: in the scan's unit, -150 HU in the paper.
        max_dense: largest mean score, in [0, 1].

    Based on: the published sampling of Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840.

    Examples:
        >>> from models_genesis_bundle.data import CubeSampler, LungRule
        >>> sampler = CubeSampler(margin=(100, 100, 30), rule=LungRule())  # as published, for LUNA16
    """

    threshold: float = -150.0
    max_dense: float = 0.15

    def __post_init__(self) -> None:
        if not 0 <= self.max_dense <= 1:
            raise ValueError(f"LungRule: max_dense must lie in 0 … 1, got {self.max_dense}.")

    def prepare(self, scan: np.ndarray, intensity: IntensityScaling) -> CubeTest:
        """Bring the threshold to the scan's scale; see `CubeRule.prepare`.

        Raises:
            ValueError: a 2D image, or a scaling under which the threshold has no fixed place.
        """
        if scan.ndim != 4:
            raise ValueError("LungRule looks at neighbouring slices: use it on 3D scans, and BodyRule in 2D.")
        threshold = intensity.scaled_value(self.threshold)

        def is_mostly_lung(cube: tuple[slice, ...]) -> bool:
            x, y, z = cube
            dense = scan[0, x, y, z.start : z.stop + 1] >= threshold
            size = z.stop - z.start
            itself, following = dense[..., :size], dense[..., 1:]
            only_next = following & ~itself[..., : following.shape[-1]]
            return bool(itself.sum() + 0.5 * only_next.sum() <= self.max_dense * itself.size)

        return is_mostly_lung

    def record(self) -> dict[str, Any]:
        """Plain values that name the rule and its settings."""
        return {"name": type(self).__name__, **asdict(self)}
