"""The report of a plan: one HTML page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing, resampled_shape
from models_genesis_bundle.data.scans.quality import NOT_IN_HU, ScanFacts
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.geometry import sides_after_resampling
from models_genesis_bundle.planning.plan import Plan
from models_genesis_bundle.reports.html_page import figure_png, write_page
from models_genesis_bundle.visualize.colours import COLOURS
from models_genesis_bundle.visualize.slices import PLANES, SIDES, mark_sides, middle_slice
from monai.transforms import ResizeWithPadOrCrop

_AXES = ("left to right", "back to front", "feet to head")
_BLUE, _ORANGE = COLOURS[0], COLOURS[5]


class Example(NamedTuple):
    """A preprocessed scan (1, X, Y[, Z]), and a cube (1, *cube_size) from its middle."""

    path: str
    scan: np.ndarray
    cube: np.ndarray


def example_scans(fingerprint: Fingerprint, plan: Plan, count: int) -> list[Example]:
    """Preprocess a few scans as planned: the smallest, the largest, and others in between."""
    spacing = plan.values["scan_preprocessing::spacing"]
    sizes = {  # the training excludes scans that become flat
        image: np.prod(np.multiply(facts.shape, facts.spacing))
        for image, facts in fingerprint.facts.items()
        if 1 not in resampled_shape(facts.shape, facts.spacing, spacing)
    }
    ordered = sorted(sizes, key=lambda image: (sizes[image], image))
    preprocessing = ScanPreprocessing(intensity=plan.intensity, spacing=spacing, spatial_dims=fingerprint.spatial_dims)
    middle = ResizeWithPadOrCrop(plan.values["cube_size"], value=plan.intensity.value_range[0])
    examples = []
    for place in np.unique(np.linspace(0, len(ordered) - 1, max(count, 1)).round().astype(int)):
        scan = preprocessing({"image": ordered[place]})["image"]
        examples.append(Example(ordered[place], np.asarray(scan), np.asarray(middle(scan))))
    return examples


def summary(fingerprint: Fingerprint) -> str:
    """A summary of the plan's scans in one or two sentences."""
    training, validation, test = (fingerprint.datalist.get(name, []) for name in ("training", "validation", "test"))
    patients = len({scan["patient"] for scan in [*training, *validation]})
    what = "intensities without a fixed unit, as MR has" if fingerprint.kind in ("", NOT_IN_HU) else fingerprint.kind
    dims = "3D scans" if fingerprint.spatial_dims == 3 else "2D images"
    kept = f" {len(test)} more are kept for the test." if test else ""
    return (
        f"{len(training) + len(validation)} {dims} of {patients} patients in {fingerprint.dataset_dir}: {what}. "
        f"{len(training)} train, {len(validation)} validate.{kept}"
    )


def write_report(
    path: Path,
    fingerprint: Fingerprint,
    plan: Plan,
    examples: Sequence[Example],
    speed: str,
    config_files: Sequence[str],
    command: str,
) -> None:
    """Write the page; ``speed`` is a sentence about the speed, and the last of ``config_files`` is the plan's overlay."""
    spacing, cube_size = plan.values["scan_preprocessing::spacing"], plan.values["cube_size"]
    middle = examples[len(examples) // 2]
    pair = genesis_pairs([{"image": middle.cube}], list(config_files))[0]
    facts = list(fingerprint.facts.values())

    write_page(
        path,
        "planning/report.html",
        name=Path(fingerprint.dataset_dir).name,
        summary=summary(fingerprint),
        notes=fingerprint.notes,
        speed=speed,
        command=command,
        settings=plan.settings,
        scans=[
            (f"{path}: {' x '.join(map(str, scan.shape[1:]))} voxels", _planes(scan, plan, cube_size))
            for path, scan, _ in examples
        ],
        pair_of=middle.path,
        pair=[("clean", _planes(pair["label"], plan)), ("deformed", _planes(pair["image"], plan))],
        charts=[
            ("Intensities of the scans", _intensity_chart(facts, plan)),
            ("Voxel sizes", _lengths_chart([scan.spacing for scan in facts], spacing, "voxel size in mm")),
            (
                "Sizes of the scans",
                _lengths_chart(sides_after_resampling(facts, spacing), cube_size, "voxels after resampling"),
            ),
        ],
        left_out=fingerprint.left_out,
    )


def _planes(scan: Any, plan: Plan, outline: Sequence[int] | None = None) -> str:
    """The middle slices of a volume (1, X, Y, Z) or an image (1, X, Y).

    With an `outline`, they show a cube in the middle and letters for the patient's sides.
    """
    array, spacing = np.asarray(scan)[0], plan.values["scan_preprocessing::spacing"]
    planes: dict[str, Sequence[int]] = {"": (0, 1)}
    if array.ndim == 3:
        planes = {plane: [axis for axis in range(3) if axis != normal] for plane, normal in PLANES.items()}
    lengths = np.multiply(array.shape, spacing)
    widths = [lengths[across] for across, _ in planes.values()]
    width = 7.5 if array.ndim == 3 else 4.0
    height = width * max(lengths[up] for _, up in planes.values()) / sum(widths) + 0.25
    figure = Figure(figsize=(width, float(np.clip(height, 1.5, 9))), layout="constrained")
    axes = figure.subplots(1, len(planes), squeeze=False, gridspec_kw={"width_ratios": widths})[0]
    low, high = plan.intensity.value_range
    for axis, (plane, (across, up)) in zip(axes, planes.items(), strict=True):
        aspect = spacing[up] / spacing[across]
        axis.imshow(middle_slice(array, plane), cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axis.set_title(plane, fontsize=9, color="#667079")
        axis.set_axis_off()
        if outline is not None:
            mark_sides(axis, SIDES.get(plane, ""))
            corner = [(array.shape[at] - outline[at]) / 2 - 0.5 for at in (across, up)]
            axis.add_patch(
                Rectangle((corner[0], corner[1]), outline[across], outline[up], fill=False, edgecolor=_ORANGE)
            )
    return figure_png(figure)


def _intensity_chart(facts: Sequence[ScanFacts], plan: Plan) -> str:
    figure, (axis,) = _chart("scans; line: percentiles 0.5 to 99.5, dot: median", "intensity")
    ordered = sorted(facts, key=lambda scan: scan.median)
    places = np.arange(1, len(ordered) + 1)
    axis.vlines(places, [scan.low for scan in ordered], [scan.high for scan in ordered], color=_BLUE, linewidth=1.5)
    axis.plot(places, [scan.median for scan in ordered], ".", color=_ORANGE, markersize=4)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    scaling = plan.values["scan_preprocessing::intensity"]
    if scaling["mode"] == "window":
        axis.axhspan(scaling["lower"], scaling["upper"], color=_ORANGE, alpha=0.1, linewidth=0)
        axis.set_ylabel("HU; shaded: the window")
    return figure_png(figure)


def _lengths_chart(values: Sequence[Sequence[float]] | np.ndarray, planned: Sequence[float], label: str) -> str:
    figure, axes = _chart(f"{label}; dashed: the plan", "scans", len(planned))
    edges = np.histogram_bin_edges(np.concatenate([np.ravel(values), planned]), bins=40).tolist()
    for axis, column, length, name in zip(axes, np.transpose(values), planned, _AXES, strict=False):
        axis.hist(column, edges, color=_BLUE)
        axis.axvline(length, color=_ORANGE, linestyle="--")
        axis.set_title(name, fontsize=9, loc="left")
        axis.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure_png(figure)


def _chart(xlabel: str, ylabel: str, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.4, max(3.0, 1.2 * rows)), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, sharey=True, squeeze=False)[:, 0].tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
        axis.set_ylabel(ylabel)
    axes[-1].set_xlabel(xlabel)
    return figure, axes
