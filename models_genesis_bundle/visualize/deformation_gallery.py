"""A picture of a cube after each deformation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from models_genesis_bundle.data import CubeSampler, IntensityScaling
from models_genesis_bundle.transforms import (
    RandInPainting,
    RandLocalPixelShuffle,
    RandNonlinearIntensity,
    RandOutPainting,
)
from models_genesis_bundle.visualize.restoration_panel import middle_slice

__all__ = ["draw_cube", "gallery_figure"]

PLANES = ("axial", "coronal", "sagittal")


def draw_cube(scan: np.ndarray, intensity: IntensityScaling, cube_size: Sequence[int], seed: int) -> np.ndarray:
    """Cut one cube out of a scan (1, X, Y, Z), scaled with ``intensity``, at a random place with enough body.

    Raises:
        ValueError: no place in the scan holds enough body.
    """
    sampler = CubeSampler(cube_size=tuple(cube_size))
    corners = sampler.sample(scan, intensity, 1, np.random.default_rng(seed))
    if not corners:
        raise ValueError(
            f"No cube of {tuple(cube_size)} voxels with enough body was found in a scan of {scan.shape[1:]}."
        )
    return scan[(slice(None), *sampler.cube_at(corners[0]))]


def gallery_figure(cube: np.ndarray, pairs: Sequence[np.ndarray | torch.Tensor] = (), seed: int = 0) -> Figure:
    """Draw a cube, each deformation of it alone, and cubes after the whole recipe, as three orthogonal middle slices each.

    Args:
        cube: (1, X, Y, Z) in 0 … 1.
        pairs: deformed cubes of the same shape from a pretraining's pipeline.
        seed: of the single deformations.
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
    columns |= {f"Genesis pair {number}": np.asarray(pair)[0] for number, pair in enumerate(pairs, start=1)}
    x, y, z = cube.shape[1:]
    heights = [y / x, z / x, z / y]
    figure = Figure(figsize=(1.75 * len(columns), 1.75 * sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(PLANES), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights})
    for column, (name, array) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for axis, plane in zip(column, PLANES, strict=True):
            axis.imshow(middle_slice(array, plane), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, plane in zip(axes[:, 0], PLANES, strict=True):
        axis.set_ylabel(plane, fontsize=9)
    return figure
