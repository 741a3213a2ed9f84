"""Pictures of a restoration: clean, deformed, restored, error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from models_genesis_bundle.files import printable, whole_file

__all__ = ["as_picture", "middle_slice", "restoration_figure", "save_figure", "try_to_save_figure"]

logger = logging.getLogger(__name__)

COLUMNS = ("clean", "deformed", "restored", "error")


def restoration_figure(
    clean: Sequence[np.ndarray | torch.Tensor],
    deformed: Sequence[np.ndarray | torch.Tensor],
    restored: Sequence[np.ndarray | torch.Tensor],
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str = "",
) -> Figure:
    """Draw restorations, one a row: the axial and, in 3D, the coronal middle slice of each.

    Args:
        clean: arrays (C, X, Y[, Z]), of which the first channel is drawn.
        deformed: the network's input, same shapes.
        restored: its output, same shapes.
        value_range: grey values from black to white; the error is drawn from 0 to half of its width.
        title: above the panel.
    """
    rows = [tuple(_first_channel(array) for array in row) for row in zip(clean, deformed, restored, strict=True)]
    planes = ("axial", "coronal") if rows[0][0].ndim == 3 else ("",)
    figure = Figure(figsize=(1.7 * len(COLUMNS) * len(planes), 1.8 * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots(len(rows), len(COLUMNS) * len(planes), squeeze=False)
    low, high = value_range
    for row, (one, two, three) in zip(axes, rows, strict=True):
        for start, plane in zip(range(0, len(row), len(COLUMNS)), planes, strict=True):
            images = [middle_slice(array, plane) for array in (one, two, three, np.abs(three - one))]
            for axis, name, image in zip(row[start : start + len(COLUMNS)], COLUMNS, images, strict=True):
                error = name == "error"
                axis.imshow(
                    image,
                    cmap="magma" if error else "gray",
                    vmin=0 if error else low,
                    vmax=(high - low) / 2 if error else high,
                    interpolation="nearest",
                    aspect="auto" if plane == "coronal" else "equal",
                )
                axis.set_axis_off()
    for axis, (plane, name) in zip(axes[0], product(planes, COLUMNS), strict=True):
        axis.set_title(f"{name}\n{plane}".strip(), fontsize=9)
    figure.suptitle(printable(title), fontsize=10, parse_math=False)
    return figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """Write a figure as PNG, whole or not at all; the folder is created if missing."""
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=dpi, format="png")
    return Path(path)


def try_to_save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure of a run; when it cannot be written, a warning names it, and the run continues."""
    try:
        save_figure(figure, path)
    except OSError as error:
        logger.warning("%s: the picture could not be written, and the run goes on without it: %s", path, error)


def _first_channel(array: np.ndarray | torch.Tensor) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        array = array.detach().float().cpu().numpy()
    return np.asarray(array, dtype=np.float32)[0]


def middle_slice(array: np.ndarray, plane: str) -> np.ndarray:
    """The axial, coronal or sagittal middle slice of a volume (X, Y, Z) along right, front and head, or an image (X, Y).

    The front, or the head, is at the top, the patient's right at the left.
    """
    if array.ndim == 3:
        axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
        array = np.take(array, array.shape[axis] // 2, axis=axis)
    return as_picture(array)


def as_picture(array: np.ndarray) -> np.ndarray:
    """A slice (first axis, second axis[, colours]) as rows from top to bottom: both axes end at the top left."""
    return array.swapaxes(0, 1)[::-1, ::-1]
