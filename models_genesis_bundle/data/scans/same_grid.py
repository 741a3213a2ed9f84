"""Whether two images lie voxel on voxel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing, to_affine_nd

__all__ = ["affine_difference", "shape_difference"]

_LARGEST_SHIFT = 0.1


def shape_difference(one: MetaTensor, other: MetaTensor) -> str | None:
    """How the spatial shape of an image (C, X, Y[, Z]) differs from another's, for a message; None where it does not."""
    shapes = tuple(one.shape[1:]), tuple(other.shape[1:])
    return None if shapes[0] == shapes[1] else f"its shape {shapes[0]} differs from {shapes[1]}"


def affine_difference(one: MetaTensor, other: MetaTensor) -> str | None:
    """How the affine of an image differs from another's of the same shape, for a message.

    Returns:
        None where no corner voxel lies further than a tenth of a voxel from that of the other.
    """
    dims = one.ndim - 1
    own, wanted = (to_affine_nd(dims, image.affine).numpy() for image in (one, other))
    shift = _largest_shift(own, wanted, one.shape[1:])
    if shift <= _LARGEST_SHIFT * affine_to_spacing(wanted, dims).min():
        return None
    return f"its affine {_rounded(own)} puts voxels up to {shift:.3g} mm away from where the {_rounded(wanted)}"


def _largest_shift(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Distance, in millimetres, between where two affines put a corner voxel, for the corner where it is largest."""
    corners = np.array([(*corner, 1.0) for corner in product(*((0, side - 1) for side in shape))])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def _rounded(affine: np.ndarray) -> list[list[float]]:
    return affine[:-1].round(3).tolist()
