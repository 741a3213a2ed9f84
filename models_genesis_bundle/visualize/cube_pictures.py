"""Pictures of cubes: restored cubes with their errors, and a cube after each deformation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from models_genesis_bundle.data import CubeSampler, IntensityScaling
from models_genesis_bundle.files import printable, whole_file
from models_genesis_bundle.transforms import (
    RandInPainting,
    RandLocalPixelShuffle,
    RandNonlinearIntensity,
    RandOutPainting,
)
from models_genesis_bundle.visualize.slices import PLANES, SIDES, mark_sides, middle_slice, turned_upright
from monai.data import MetaTensor
from monai.utils import convert_to_numpy

logger = logging.getLogger(__name__)

COLUMNS = ("clean", "deformed", "restored", "error")


def restoration_figure(
    clean: Sequence[np.ndarray | torch.Tensor],
    deformed: Sequence[np.ndarray | torch.Tensor],
    restored: Sequence[np.ndarray | torch.Tensor],
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str = "",
) -> Figure:
    """Draw restorations, one in each row: the axial and, in 3D, the coronal middle slice.

    A volume of a MetaTensor is turned upright, keeps the proportions of its voxels, and the patient's right and left are marked.
    Other volumes are drawn along their axes, with square coronal slices, because the size of their voxels is unknown.

    Args:
        clean: arrays (C, X, Y[, Z]), whose first channel is drawn.
        deformed: the network's input, same shapes.
        restored: its output, same shapes.
        value_range: grey values from black to white; the error is drawn from 0 to half of its width.
        title: title of the figure.
    """
    columns = list(product(("axial", "coronal") if clean[0].ndim == 4 else ("",), COLUMNS))
    figure = Figure(figsize=(1.7 * len(columns) + 0.8, 1.8 * len(clean) + 0.7), layout="compressed")
    axes = figure.subplots(len(clean), len(columns), squeeze=False)
    low, high = value_range
    for row, *arrays in zip(axes, clean, deformed, restored, strict=True):
        volumes = [convert_to_numpy(torch.as_tensor(array)[0].detach().float()) for array in arrays]
        aspects, sides = {"coronal": volumes[0].shape[0] / volumes[0].shape[-1]}, {}
        if isinstance(arrays[0], MetaTensor) and volumes[0].ndim == 3:
            volumes, (x, y, z) = turned_upright(volumes, convert_to_numpy(arrays[0].affine))
            aspects, sides = {"axial": y / x, "coronal": z / x}, SIDES
        shown = dict(zip(COLUMNS, (*volumes, np.abs(volumes[2] - volumes[0])), strict=True))
        for axis, (plane, name) in zip(row, columns, strict=True):
            error = name == "error"
            picture = axis.imshow(
                middle_slice(shown[name], plane),
                cmap="magma" if error else "gray",
                vmin=0 if error else low,
                vmax=(high - low) / 2 if error else high,
                interpolation="nearest",
                aspect=aspects.get(plane, "equal"),
            )
            axis.set_axis_off()
            mark_sides(axis, sides.get(plane, ""))
    for axis, (plane, name) in zip(axes[0], columns, strict=True):
        axis.set_title(f"{name}\n{plane}".strip(), fontsize=9)
    bar = figure.colorbar(picture, ax=axes, extend="max", fraction=0.02, pad=0.01)  # the last picture is an error
    bar.set_label(f"absolute error\n(intensities {low:g} … {high:g})", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    figure.suptitle(printable(title), fontsize=10, parse_math=False)
    return figure


def gallery_figure(cube: np.ndarray, pairs: Sequence[np.ndarray | torch.Tensor] = (), seed: int = 0) -> Figure:
    """Draw a cube, each deformation of it, and cubes after the whole recipe, as three orthogonal middle slices each.

    Args:
        cube: (1, X, Y, Z) in 0 … 1.
        pairs: deformed cubes of the same shape from the pipeline of a pretraining.
        seed: random seed of the single deformations.
    """
    singles: dict[str, Callable] = {
        "clean": np.asarray,
        "non-linear, increasing": RandNonlinearIntensity(1.0, decreasing_prob=0.0).set_random_state(seed),
        "non-linear, decreasing": RandNonlinearIntensity(1.0, decreasing_prob=1.0).set_random_state(seed),
        "local pixel shuffling": RandLocalPixelShuffle(1.0).set_random_state(seed),
        "in-painting": RandInPainting(1.0, stop_prob=0.0).set_random_state(seed),
        "out-painting": RandOutPainting(1.0).set_random_state(seed),
    }
    columns = {name: np.asarray(deform(cube))[0] for name, deform in singles.items()}
    columns |= {f"whole recipe {number}": np.asarray(pair)[0] for number, pair in enumerate(pairs, start=1)}
    x, y, z = cube.shape[1:]
    heights = [y / x, z / x, z / y]
    figure = Figure(figsize=(1.75 * len(columns), 1.75 * sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(PLANES), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights})
    for column, (name, array) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for axis, plane in zip(column, PLANES, strict=True):
            axis.imshow(middle_slice(array, plane), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
            axis.set(xticks=[], yticks=[])
    for axis, plane in zip(axes[:, 0], PLANES, strict=True):
        axis.set_ylabel(plane, fontsize=9)
    return figure


def draw_cube(scan: np.ndarray, intensity: IntensityScaling, cube_size: Sequence[int], seed: int) -> np.ndarray:
    """Cut a cube with enough body at a random place out of a scan (1, X, Y, Z), which is scaled with ``intensity``.

    Raises:
        ValueError: no place in the scan has enough body.
    """
    (corner,) = draw_corners(scan, intensity, cube_size, 1, seed)
    return scan[(slice(None), *(slice(low, low + side) for low, side in zip(corner, cube_size, strict=True)))]


def draw_corners(
    scan: np.ndarray, intensity: IntensityScaling, cube_size: Sequence[int], count: int, seed: int
) -> list[tuple[int, ...]]:
    """The lowest corners of up to ``count`` cubes at random places with enough body; see ``draw_cube``."""
    corners = CubeSampler(cube_size=cube_size).sample(scan, intensity, count, np.random.default_rng(seed))
    if not corners:
        raise ValueError(
            f"cube_size: expected cubes that fit into the body, but no cube of {tuple(cube_size)} voxels fits in a scan of "
            f"{tuple(scan.shape[1:])} voxels. Give a smaller one."
        )
    return corners


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """Write a figure as PNG, atomically; the folder is created if missing."""
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=dpi, format="png")
    return Path(path)


def try_to_save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure of a run. If this fails, log a warning and continue."""
    try:
        save_figure(figure, path)
    except OSError as error:
        logger.warning("%s: the picture could not be written, and the run continues without it: %s", path, error)
