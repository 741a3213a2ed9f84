"""The figures of a report: preprocessed scans, a deformed pair, histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.volumes.quality import ScanFacts
from models_genesis_bundle.planning.geometry import sides_after_resampling
from models_genesis_bundle.visualize.cube_pictures import middle_slice

__all__ = ["intensity_figure", "planes_figure", "size_figure", "spacing_figure"]

_PLANES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}
_AXES = ("left to right", "back to front", "feet to head")
_COLOURS = ("#1b6ca8", "#d1732b", "#3a8f5c")
_GREY = "#667079"


def planes_figure(
    arrays: Mapping[str, np.ndarray],
    spacing: Sequence[float],
    value_range: tuple[float, float],
    outline: Sequence[int] | None = None,
) -> Figure:
    """Draw the middle slices of volumes along each plane, one row a volume.

    Args:
        arrays: by title, ``(X, Y, Z)`` or ``(X, Y)`` each, all of one size.
        spacing: side of a voxel in mm.
        value_range: grey values from black to white.
        outline: sides in voxels of a cube, whose outline is drawn in the middle.
    """
    shape = next(iter(arrays.values())).shape
    planes = _PLANES if len(shape) == 3 else {"": (0, 1)}
    lengths = np.multiply(shape, spacing)
    widths = [lengths[across] for across, _ in planes.values()]
    highest = max(lengths[up] for _, up in planes.values())
    rows = len(arrays)
    if len(planes) == 1:  # flat images stand side by side
        rows, widths = 1, widths * len(arrays)
    width = 7.5 if len(widths) > 1 else 4.0
    height = rows * (width * highest / sum(widths) + 0.25)
    figure = Figure(figsize=(width, float(np.clip(height, 1.5, 9))), layout="constrained")
    axes = figure.subplots(rows, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
    axes = axes.reshape(len(arrays), len(planes))
    for row, (name, array) in zip(axes, arrays.items(), strict=True):
        for axis, (plane, (across, up)) in zip(row, planes.items(), strict=True):
            axis.imshow(
                middle_slice(array, plane),
                cmap="gray",
                vmin=value_range[0],
                vmax=value_range[1],
                aspect=spacing[up] / spacing[across],
            )
            axis.set_title(" ".join(filter(None, (plane, name))), fontsize=9, color=_GREY)
            axis.set_axis_off()
            if outline is not None:
                sides = outline[across], outline[up]
                corner = [(shape[at] - outline[at]) / 2 - 0.5 for at in (across, up)]
                axis.add_patch(
                    Rectangle((corner[0], corner[1]), *sides, fill=False, edgecolor="#ffb454", linewidth=1.2)
                )
    return figure


def intensity_figure(voxels: Mapping[str, np.ndarray], intensity: IntensityScaling) -> Figure:
    """Draw a histogram of each scan, and of all of them.

    Intensities with a fixed unit are drawn in that unit, with the window that is kept; others after scaling.
    """
    figure, axis = _small_figure()
    fixed = intensity.is_invertible
    values = list(voxels.values()) if fixed else [np.asarray(intensity(scan)) for scan in voxels.values()]
    low, high = np.percentile(np.concatenate(values), (0.05, 99.95)) if fixed else intensity.value_range
    edges = np.linspace(low, high, 81)
    shares = [np.histogram(np.clip(scan, low, high), edges)[0] / len(scan) for scan in values]
    for share in shares:
        axis.stairs(share, edges, color=_COLOURS[0], alpha=max(0.06, min(0.4, 4 / len(shares))), linewidth=0.7)
    axis.stairs(np.mean(shares, axis=0), edges, color=_COLOURS[0], linewidth=1.8)
    if fixed:
        window = np.clip(intensity.invert(np.array(intensity.value_range)), low, high)
        axis.axvspan(*window, color=_COLOURS[1], alpha=0.1, linewidth=0)
    axis.set_yscale("log")
    axis.set_xlabel("HU; shaded: the window" if fixed else "intensity after scaling")
    axis.set_ylabel("share of the voxels")
    return figure


def spacing_figure(facts: Sequence[ScanFacts], spacing: Sequence[float]) -> Figure:
    """Draw histograms of the voxel sizes along each axis, with the planned ones as lines."""
    return _axes_figure(np.array([scan.spacing for scan in facts]), spacing, "voxel size in mm; dashed: the plan")


def size_figure(facts: Sequence[ScanFacts], spacing: Sequence[float], cube_size: Sequence[int]) -> Figure:
    """Draw histograms of the scans' sides in voxels at the planned spacing, with the cube's sides as lines."""
    return _axes_figure(sides_after_resampling(facts, spacing), cube_size, "voxels after resampling; dashed: a cube")


def _axes_figure(values: np.ndarray, planned: Sequence[float], label: str) -> Figure:
    figure, axis = _small_figure()
    low, high = min(values.min(), min(planned)), max(values.max(), max(planned))
    margin = max(0.05 * (high - low), 0.02 * high)
    edges = np.linspace(low - margin, high + margin, 41)
    for number, name in enumerate(_AXES[: values.shape[1]]):
        counts = np.histogram(values[:, number], edges)[0]
        axis.stairs(counts, edges, color=_COLOURS[number], alpha=0.25, fill=True)
        axis.stairs(counts, edges, color=_COLOURS[number], linewidth=1.2, label=name)
        axis.axvline(planned[number], color=_COLOURS[number], linestyle=(2 * number, (4, 4)), linewidth=1.2)
    axis.set_xlabel(label)
    axis.set_ylabel("scans")
    axis.legend(fontsize=8, frameon=False)
    return figure


def _small_figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    return figure, axis
