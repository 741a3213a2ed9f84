"""Sampling of the positions of training cubes, and rules for these positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from models_genesis_bundle.axes import for_each_axis
from models_genesis_bundle.data.scans.intensity import IntensityScaling
from monai.networks.layers import Pool
from monai.utils import ensure_tuple_rep
from scipy import ndimage

Corner = tuple[int, ...]
CubeTest = Callable[[tuple[slice, ...]], bool]

_LONGEST_SIDE = 128
_BINS = 256
_LEAST_SEPARABILITY = 0.7
_AIR_LEVEL = 0.08
_LEAST_COMPONENT = 0.1


@runtime_checkable
class CubeRule(Protocol):
    """The interface of the rules of a `CubeSampler`."""

    def prepare(self, scan: np.ndarray, intensity: IntensityScaling) -> CubeTest:
        """A function that decides whether to keep a cube of a scan; its argument is a slice for each spatial axis.

        Args:
            scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, scaled by `intensity`.
            intensity: the scaling, for thresholds in the scan's unit.
        """

    def record(self) -> dict[str, Any]:
        """The rule and its settings as plain values."""
        return {"name": type(self).__name__, **vars(self)}


@dataclass(frozen=True)
class BodyRule(CubeRule):
    """Keeps cubes with enough body, in any body region in CT or MR.

    Lungs and other enclosed air belong to the body; air around the patient, the couch and padding do not.

    Args:
        min_body: smallest fraction of the cube's voxels inside the body, in [0, 1].

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


@dataclass(frozen=True)
class LungRule(CubeRule):
    """Keeps cubes with little dense tissue, mostly lung: the paper's rule for chest CT.

    The score of a voxel is 1 at or above `threshold`. Below it, the score is 0.5 if the voxel in the next slice along Z is at or
    above it, otherwise 0. The mean score of a cube must not exceed `max_dense`. The rule needs 3D and a scaling with a fixed
    unit. Air around the patient also passes; the paper excludes it by a margin of ``(100, 100, 30)`` voxels.

    Args:
        threshold: intensity in the scan's unit, -150 HU in the paper.
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
        """Scale the threshold; a `ValueError` in 2D, or if the scaling depends on the scan or clips the threshold."""
        if scan.ndim != 4:
            raise ValueError("LungRule needs 3D scans, because it compares neighbouring slices. Use BodyRule in 2D.")
        threshold = intensity.scaled_value(self.threshold)

        def is_mostly_lung(cube: tuple[slice, ...]) -> bool:
            x, y, z = cube
            dense = scan[0, x, y, z.start : z.stop + 1] >= threshold
            size = z.stop - z.start
            itself, following = dense[..., :size], dense[..., 1:]
            only_next = following & ~itself[..., : following.shape[-1]]
            return bool(itself.sum() + 0.5 * only_next.sum() <= self.max_dense * itself.size)

        return is_mostly_lung


@dataclass(frozen=True)
class CubeSampler:
    """Chooses cubes uniformly from the positions that a rule accepts, without repetition.

    Args:
        cube_size: sides of a cube in voxels, one for each axis of the scan. ``(64, 64, 1)`` gives axial slices.
        margin: voxels at both ends of each axis without cubes, one number or one for each axis; ``(100, 100, 30)`` in the
            paper.
        rule: the rule that accepts or rejects a cube.
        max_attempts_per_cube: largest number of tried positions for each cube (50 in the paper).
        small_scans: ``"pad"`` pads scans smaller than a cube at both ends with the darkest value, ``"skip"`` skips them.

    Raises:
        ValueError: a size is below 1, a margin is below 0, or `small_scans` is unknown.

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
        margin = tuple(int(side) for side in for_each_axis(self.margin, len(size), "CubeSampler: margin"))
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
        """Voxels to add before and after each axis of a scan so that a cube fits."""
        missing = [max(0, side - have) for side, have in zip(self.cube_size, shape, strict=True)]
        return [(lack // 2, lack - lack // 2) for lack in missing]

    def sample(
        self, scan: np.ndarray, intensity: IntensityScaling, count: int, rng: np.random.Generator
    ) -> list[Corner]:
        """The lowest corners, in voxels, of `count` different cubes, or of fewer if not enough positions are accepted.

        The `scan`, ``(C, X, Y, Z)`` or ``(C, X, Y)``, is scaled by `intensity` and large enough for a cube.
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
        margin = ensure_tuple_rep(self.margin, len(self.cube_size))
        return {**vars(self), "cube_size": list(self.cube_size), "margin": list(margin), "rule": self.rule.record()}


def otsu_threshold(values: np.ndarray) -> tuple[float, float]:
    """The threshold that splits values into two classes with the least variance, and the separability.

    The separability is the fraction of the variance that is between the classes: 0.64 for a normal distribution, 0.75 for a
    uniform one, near 1 for two narrow peaks, 0 if all values are nearly equal.

    Based on: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979, 62–66.
    """
    low, high = float(values.min()), float(values.max())
    if high - low <= 2 * _BINS * np.spacing(values.dtype.type(max(-low, high))):  # too little for the bins
        return low, 0.0
    counts, edges = np.histogram(values, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    share = counts / counts.sum()
    below = np.cumsum(share)[:-1]
    mean_below = np.cumsum(share * centres)[:-1]
    total_mean = float((share * centres).sum())
    variance = float((share * (centres - total_mean) ** 2).sum())
    weight = below * (1 - below)
    between = np.divide((total_mean * below - mean_below) ** 2, weight, out=np.zeros_like(weight), where=weight > 0)
    best = int(between.argmax())
    return float(edges[best + 1]), float(between[best] / variance)


def body_mask(scan: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Find the body in a scan at reduced resolution.

    The scan is averaged to at most 128 voxels along each side and split by Otsu's threshold. Components of at least a tenth of
    the largest one stay, for example two legs, but not the couch. Holes in each slice along the last axis are filled, so that
    lungs are body. Lungs at the border of the scan are not holes. Therefore, a dark region is also body if its median is above
    the scan's minimum by 8 % of the difference to the bright mean. If a scan does not have two classes, as a crop from an
    organ, all of it is body.

    Args:
        scan: ``(C, X, Y, Z)`` or ``(C, X, Y)`` in a unit in which air is darkest; the first channel is used.

    Returns:
        The bool mask ``(x, y, z)``, and the number of the scan's voxels along each axis in a voxel of the mask.
    """
    shape = scan.shape[1:]
    factors = tuple(-(-side // _LONGEST_SIDE) for side in shape)
    first = torch.as_tensor(np.ascontiguousarray(scan[:1], dtype=np.float32))
    pool = Pool[Pool.AVG, len(shape)](factors, ceil_mode=True, count_include_pad=False)
    reduced = pool(first)[0].numpy()
    threshold, separability = otsu_threshold(reduced)
    if separability < _LEAST_SEPARABILITY:
        return np.ones(reduced.shape, dtype=bool), factors
    labels, _ = ndimage.label(reduced >= threshold)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    bright = (sizes >= _LEAST_COMPONENT * sizes.max())[labels]
    in_a_slice = ndimage.generate_binary_structure(2, 1).reshape(3, 3, *[1] * (len(shape) - 2))
    mask = ndimage.binary_fill_holes(bright, in_a_slice)
    floor = float(reduced.min())
    air_limit = floor + _AIR_LEVEL * (float(reduced[bright].mean()) - floor)
    labels, count = ndimage.label(~mask)
    if count:
        medians = ndimage.median(reduced, labels, index=np.arange(1, count + 1))
        mask |= np.concatenate([[False], medians > air_limit])[labels]
    return mask, factors
