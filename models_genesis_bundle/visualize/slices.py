"""Slices of a patient in radiological view: upright, with the patient's right at the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, io_orientation

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # the axis that is orthogonal to each
# The sides of the patient at the left and right of a picture: right, left, anterior, posterior.
SIDES = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}


def turned_upright(volumes: Sequence[np.ndarray], affine: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Turn volumes (X, Y, Z) to axes along right, front and head; also return the sides of their voxels in mm.

    ``affine`` (4, 4) maps voxels to mm to the right, front and head.
    """
    turn = io_orientation(affine)
    spacing = np.empty(3)
    spacing[turn[:, 0].astype(int)] = voxel_sizes(affine)
    return [apply_orientation(volume, turn) for volume in volumes], spacing


def middle_slice(array: np.ndarray, plane: str) -> np.ndarray:
    """The axial, coronal or sagittal middle slice of a volume (X, Y, Z) along right, front and head, or an image (X, Y).

    The front or the head is at the top, the patient's right at the left.
    """
    if array.ndim == 3:
        axis = PLANES[plane]
        array = np.take(array, array.shape[axis] // 2, axis)
    return as_picture(array)


def as_picture(array: np.ndarray) -> np.ndarray:
    """A slice (first axis, second axis[, colours]) as rows from top to bottom; both axes end at the top left."""
    return array.swapaxes(0, 1)[::-1, ::-1]


def mark_sides(axis: Axes, sides: Sequence[str]) -> None:
    """Write the letters of ``SIDES`` at the left and right of a picture; an empty sequence writes nothing."""
    outline = [withStroke(linewidth=1.5, foreground="black")]
    for letter, place, align in zip(sides, (0.02, 0.98), ("left", "right"), strict=False):
        style: dict[str, Any] = {"ha": align, "va": "center", "color": "w", "fontsize": 8, "path_effects": outline}
        axis.text(place, 0.5, letter, transform=axis.transAxes, **style)
