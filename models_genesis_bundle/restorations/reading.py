"""A scan after the preprocessing of a weight file, and its cubes for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from models_genesis_bundle.data.volumes.candidate_cubes import corners_around
from models_genesis_bundle.visualize.cube_pictures import draw_corners
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.transforms import Orientation, SpatialPad
from nibabel.orientations import aff2axcodes, axcodes2ornt

WHOLE = "all, as in pretraining"
_NONE = {
    "deformations::flip::prob": 0,
    "deformations::shuffle::prob": 0,
    "deformations::nonlinear::prob": 0,
    "painting_prob": 0,
}
KINDS: dict[str, dict[str, Any]] = {  # settings of configs/pretrain.yaml for each
    WHOLE: {"deformations::flip::prob": 0},
    "non-linear intensities": {**_NONE, "deformations::nonlinear::prob": 1},
    "local shuffling": {**_NONE, "deformations::shuffle::prob": 1},
    "in-painting": {**_NONE, "painting_prob": 1, "deformations::painting::weights": [1, 0]},
    "out-painting": {**_NONE, "painting_prob": 1, "deformations::painting::weights": [0, 1]},
    "none": _NONE,
}


def upright_window(codes: str, window: Sequence[int]) -> tuple[int, ...]:
    """The sides of a window along right, front and head, from its sides along axes such as ``"SPL"``."""
    return tuple(window[place] for place in axcodes2ornt(codes)[:, 0].argsort())


def cube_codes(codes: str, window: Sequence[int]) -> str:
    """The codes of a scan's axes along which a window (right, front, head) is longer than a voxel."""
    return "".join(code for code, axis in zip(codes, axcodes2ornt(codes)[:, 0], strict=True) if window[int(axis)] > 1)


def turned(arrays: torch.Tensor, codes: str) -> torch.Tensor:
    """Turn arrays (n, C, X, Y[, Z]) from right, front, head to axes such as ``"LPS"``, or ``"SA"`` for sagittal slices."""
    order, backwards = _turn(codes)
    return arrays.permute(0, 1, *order).flip(backwards)


def turned_back(arrays: torch.Tensor, codes: str) -> torch.Tensor:
    """Undo ``turned``."""
    order, backwards = _turn(codes)
    return arrays.flip(backwards).permute(0, 1, *(2 + np.argsort(order)).tolist())


def _turn(codes: str) -> tuple[list[int], list[int]]:
    """The permutation of the dimensions, and the new dimensions to flip."""
    axes, directions = axcodes2ornt(codes).T
    return (2 + axes.argsort().argsort()).tolist(), (2 + np.flatnonzero(directions < 0)).tolist()


@dataclass(frozen=True)
class Reading:
    """A scan after the preprocessing of a weight file."""

    volume: MetaTensor  # (1, X, Y[, Z]) along right, front and head, scaled to 0 … 1
    codes: str  # of the axes after the preprocessing, such as "LPS"

    @classmethod
    def of(cls, image: str, preprocessing: ScanPreprocessing) -> Reading:
        """Read the scan at a path with the weights' preprocessing."""
        scan: MetaTensor = preprocessing({"image": image})["image"]
        dims = preprocessing.spatial_dims
        codes = "".join(aff2axcodes(np.asarray(scan.affine)[: dims + 1, : dims + 1], RAS_LABELS[:dims]))
        low, high = preprocessing.intensity.value_range
        upright = Orientation(axcodes="RAS"[:dims], labels=RAS_LABELS[:dims])((scan - low) / (high - low))
        return cls(upright, codes)

    @property
    def spacing(self) -> list[float]:
        """Sides of a voxel in millimetres."""
        return affine_to_spacing(self.volume.affine, r=len(self.codes)).tolist()

    def is_like(self, other: Reading) -> bool:
        """Whether both have the same voxels, up to rounding."""
        one, two = self.volume.as_tensor(), other.volume.as_tensor()
        return one.shape == two.shape and torch.allclose(one, two, atol=1e-4)

    def padded(self, window: tuple[int, ...]) -> Reading:
        """The same scan, padded with the darkest value to at least the window's sides."""
        return Reading(SpatialPad(window)(self.volume), self.codes)

    def draw_points(self, window: Sequence[int], count: int, seed: int) -> np.ndarray:
        """The middles of up to ``count`` cubes at random places of the body, (cubes, axes), in LPS millimetres."""
        corners = draw_corners(self.volume.numpy(), IntensityScaling(), window, count, seed)
        affine, dims = np.asarray(self.volume.affine, dtype=float), len(window)
        middles = np.array(corners) + (np.array(window) - 1) / 2
        return (middles @ affine[:dims, :dims].T + affine[:dims, -1]) * np.array([-1, -1, 1])[:dims]

    def cubes(self, points: np.ndarray, window: Sequence[int]) -> torch.Tensor:
        """The cubes around points, moved inwards at the border: (n, 1, X, Y[, Z]) without axes of one voxel."""
        shape, affine = self.volume.shape[1:], np.asarray(self.volume.affine, dtype=float)
        corners = corners_around(points.tolist(), affine, shape, window)
        corners = np.clip(corners, 0, np.array(shape) - np.array(window))
        places = [tuple(slice(low, low + side) for low, side in zip(corner, window, strict=True)) for corner in corners]
        cubes = torch.stack([self.volume.as_tensor()[(slice(None), *place)] for place in places])
        return cubes.reshape(len(cubes), 1, *(side for side in window if side > 1))

    def slab(self, window: tuple[int, ...]) -> tuple[torch.Tensor, int]:
        """A layer as thick as a cube around the middle slice, (1, 1, X, Y[, Z]), and the index of that slice along Z.

        Axes of one voxel are removed; without Z, the index is 0.
        """
        volume = self.volume.as_tensor()[None]
        if len(window) == 2:
            return volume, 0
        axis = window.index(1) if 1 in window else 2
        middle = volume.shape[2 + axis] // 2
        start = min(max(middle - window[axis] // 2, 0), volume.shape[2 + axis] - window[axis])
        return volume.narrow(2 + axis, start, window[axis]).squeeze(2 + axis), middle - start


def deformed_cubes(cubes: torch.Tensor, config_file: str, seed: int) -> Mapping[str, torch.Tensor]:
    """Cubes (n, 1, X, Y[, Z]) in 0 … 1 after each deformation in ``KINDS``; the same seed gives the same deformations."""
    items = [{"image": cube} for cube in cubes.numpy()]
    deformed = {}
    for kind, settings in KINDS.items():
        pairs = genesis_pairs(items, config_file, seed, {"cube_size": list(cubes.shape[2:]), **settings})
        deformed[kind] = torch.stack([torch.as_tensor(pairs[number]["image"]) for number in range(len(items))])
    return deformed
