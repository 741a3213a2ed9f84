"""Pictures of a segmentation: the outlines of label and prediction over the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from models_genesis_bundle.files import printable
from models_genesis_bundle.visualize.colours import COLOURS
from models_genesis_bundle.visualize.slices import PLANES, SIDES, as_picture, mark_sides, turned_upright
from monai.utils import convert_to_numpy

LINES: Mapping[str, Literal["solid", "dashed"]] = {"label": "solid", "prediction": "dashed"}
SMALLEST_SIDE = 64
GREY_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class SegmentationSlice:
    """A slice of a case, small enough to keep until the cases to draw are chosen.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``; ``""`` for a 2D image.
        image: (rows, columns), 0 … 255.
        label: the classes' numbers, same shape.
        prediction: the predicted classes' numbers, same shape.
        aspect: height of a pixel divided by its width.
        sides: letters of the patient's sides at the left and right, ``("R", "L")``; empty if they are unknown.
    """

    plane: str
    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    aspect: float
    sides: Sequence[str] = ()


def segmentation_slices(
    image: torch.Tensor, label: torch.Tensor, prediction: torch.Tensor, affine: np.ndarray | torch.Tensor | None = None
) -> list[SegmentationSlice]:
    """Choose the slice with the most labelled foreground in each plane.

    If the label is empty, the predicted foreground counts; if both are empty, the middle slice is chosen. Slices are cropped to
    the foreground and its surroundings, with sides of at least 64 voxels if the image is large enough.

    Args:
        image: (C, X, Y[, Z]) in any intensity, whose first channel is drawn.
        label: (1, X, Y[, Z]), the classes' numbers.
        prediction: (1, X, Y[, Z]), the classes' numbers.
        affine: (4, 4) from voxels to mm to the right, front and head; None: unknown, drawn as voxels of 1 mm along these axes.

    Returns:
        Three slices of a volume, upright; one of a 2D image.

    Raises:
        ValueError: the shapes differ.
    """
    volumes = [convert_to_numpy(array)[0] for array in (image, label, prediction)]
    shapes = [volume.shape for volume in volumes]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"segmentation_slices: expected image, label and prediction of the same shape, found {shapes}. "
            "Resample the image to the label's grid."
        )
    if volumes[0].ndim == 2:
        return [_cut(volumes, "", 1.0)]
    if affine is None:
        return [_most_foreground(volumes, plane, np.ones(3)) for plane in PLANES]
    volumes, spacing = turned_upright(volumes, convert_to_numpy(affine).astype(float))
    return [replace(_most_foreground(volumes, plane, spacing), sides=SIDES[plane]) for plane in PLANES]


def _most_foreground(volumes: list[np.ndarray], plane: str, spacing: np.ndarray) -> SegmentationSlice:
    _, label, prediction = volumes
    axis = PLANES[plane]
    foreground = (label if label.any() else prediction) != 0
    areas = foreground.sum(axis=tuple(other for other in range(3) if other != axis))
    index = int(areas.argmax()) if areas.any() else len(areas) // 2
    width, height = np.delete(spacing, axis)
    return _cut([np.take(volume, index, axis) for volume in volumes], plane, height / width)


def _cut(slices: list[np.ndarray], plane: str, aspect: float) -> SegmentationSlice:
    foreground = (slices[1] != 0) | (slices[2] != 0)
    window = tuple(_surroundings(foreground.any(axis=1 - axis)) for axis in range(2))
    image, label, prediction = (as_picture(array[window]) for array in slices)
    low, high = np.percentile(image, GREY_PERCENTILES)
    grey = np.clip((image - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1)
    return SegmentationSlice(
        plane, (255 * grey).astype(np.uint8), label.astype(np.int16), prediction.astype(np.int16), float(aspect)
    )


def _surroundings(occupied: np.ndarray) -> slice:
    """The part of an axis to show: twice the occupied part around its middle, but at least the smallest side."""
    places = np.flatnonzero(occupied)
    if not len(places):
        return slice(None)
    side = min(len(occupied), max(SMALLEST_SIDE, 2 * (places[-1] - places[0] + 1)))
    start = (places[0] + places[-1] + 1 - side) // 2
    start = min(max(start, 0), len(occupied) - side)
    return slice(start, start + side)


def segmentation_figure(
    rows: Sequence[tuple[str, Sequence[SegmentationSlice]]], label_names: Sequence[str], title: str = ""
) -> Figure:
    """Draw cases, one in each row: the image with the outlines of its label (solid) and of its prediction (dashed).

    Args:
        rows: a title and the slices of each case.
        label_names: the foreground classes' names; each class has its own colour.
        title: title of the figure.
    """
    columns = max(len(slices) for _, slices in rows)
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(label_names))]
    figure = Figure(figsize=(max(3.2 * columns, 5.0), 3.2 * len(rows) + 0.8), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, slices) in zip(axes, rows, strict=True):
        for axis, shown in zip(row, slices, strict=False):
            axis.imshow(shown.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect=shown.aspect)
            for number, colour in enumerate(colours, start=1):
                for part, line in LINES.items():
                    _outline(axis, getattr(shown, part) == number, colour, line)
            mark_sides(axis, shown.sides)
            axis.set_xlabel(shown.plane, fontsize=8)
        for axis in row:
            axis.set(xticks=[], yticks=[], frame_on=False)
        row[0].set_title(printable(name), fontsize=9, loc="left", parse_math=False)
    entries = [Line2D([], [], color=colour, label=name) for colour, name in zip(colours, label_names, strict=True)]
    entries += [Line2D([], [], color="black", linestyle=line, label=part) for part, line in LINES.items()]
    figure.legend(handles=entries, loc="outside lower center", ncols=min(len(entries), 6), fontsize=8)
    figure.suptitle(printable(title), fontsize=10, parse_math=False)
    return figure


def _outline(axis: Axes, mask: np.ndarray, colour: str, line: str) -> None:
    if mask.any():
        rows, columns = (np.arange(-1, side + 1) for side in mask.shape)
        axis.contour(columns, rows, np.pad(mask, 1), [0.5], colors=[colour], linestyles=line, linewidths=1.2)
