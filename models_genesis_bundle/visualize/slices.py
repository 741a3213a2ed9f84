"""Slices of a patient as radiologists see them: upright, with the patient's right at the left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, io_orientation

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # the axis at right angles to each
# What is at the left and at the right of a picture: the patient's right (R), left (L), front (anterior) and back (posterior).
SIDES = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}


def turned_upright(volumes: Sequence[np.ndarray], affine: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Turn volumes (X, Y, Z) to axes along right, front and head, and also return the sides of their voxels in mm.

    ``affine`` (4, 4) is from voxels to mm to the right, front and head.
    """
    turn = io_orientation(affine)
    spacing = np.empty(3)
    spacing[turn[:, 0].astype(int)] = voxel_sizes(affine)
    return [apply_orientation(volume, turn) for volume in volumes], spacing


def middle_slice(array: np.ndarray, plane: str) -> np.ndarray:
    """The axial, coronal or sagittal middle slice of a volume (X, Y, Z) along right, front and head, or an image (X, Y).

    The front, or the head, is at the top, the patient's right at the left.
    """
    if array.ndim == 3:
        axis = PLANES[plane]
        array = np.take(array, array.shape[axis] // 2, axis)
    return as_picture(array)


def as_picture(array: np.ndarray) -> np.ndarray:
    """A slice (first axis, second axis[, colours]) as rows from top to bottom: both axes end at the top left."""
    return array.swapaxes(0, 1)[::-1, ::-1]


def mark_sides(axis: Axes, sides: Sequence[str]) -> None:
    """Write the letters of ``SIDES`` at the left and at the right of a picture; an empty sequence writes none."""
    outline = [withStroke(linewidth=1.5, foreground="black")]
    for letter, place, align in zip(sides, (0.02, 0.98), ("left", "right"), strict=False):
        axis.text(
            place,
            0.5,
            letter,
            transform=axis.transAxes,
            ha=align,
            va="center",
            color="w",
            fontsize=8,
            path_effects=outline,
        )
