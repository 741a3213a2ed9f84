"""The report of a plan: one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.volumes.quality import NOT_IN_HU
from models_genesis_bundle.planning.device import Speed
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.pictures import intensity_figure, planes_figure, size_figure, spacing_figure
from models_genesis_bundle.planning.plan import Plan
from models_genesis_bundle.reports.html_page import figure_png, write_page
from monai.transforms import CenterSpatialCrop, Compose, SpatialPad

__all__ = ["Examples", "summary", "training_hours", "write_report"]

_LISTED_AT_MOST = 100


@dataclass(frozen=True)
class Examples:
    """A few preprocessed scans, and a cube from the middle of each.

    Args:
        images: paths of the scans.
        scans: ``(1, X, Y, Z)`` or ``(1, X, Y)`` each, scaled.
        cubes: items with ``image``: ``(1, *cube_size)``.
    """

    images: Sequence[str]
    scans: Sequence[np.ndarray]
    cubes: Sequence[dict[str, np.ndarray]]

    @classmethod
    def of(cls, fingerprint: Fingerprint, plan: Plan, count: int) -> Examples:
        """Preprocess scans as the plan says: the smallest, the largest, and others in between."""
        sizes = {image: np.prod(np.multiply(facts.shape, facts.spacing)) for image, facts in fingerprint.facts.items()}
        ordered = sorted(sizes, key=lambda image: (sizes[image], image))
        places = (
            np.unique(np.linspace(0, len(ordered) - 1, count).round().astype(int)) if count > 1 else [len(ordered) // 2]
        )
        images = [ordered[place] for place in places]
        preprocessing = ScanPreprocessing(
            intensity=plan.intensity,
            spacing=plan.values["scan_preprocessing::spacing"],
            spatial_dims=fingerprint.spatial_dims,
        )
        scans = [np.asarray(preprocessing({"image": image})["image"]) for image in images]
        size = plan.values["cube_size"]
        middle = Compose([SpatialPad(size, value=plan.intensity.value_range[0]), CenterSpatialCrop(size)])
        return cls(images, scans, [{"image": np.asarray(middle(scan))} for scan in scans])


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


def training_hours(fingerprint: Fingerprint, plan: Plan, speed: Speed) -> float:
    """The duration of the planned training at the measured speed."""
    each = plan.values["cubes_per_scan"] * plan.values["max_epochs"]
    return speed.hours(each * len(fingerprint.datalist["training"]), each * len(fingerprint.datalist["validation"]))


def write_report(
    path: Path,
    fingerprint: Fingerprint,
    plan: Plan,
    examples: Examples,
    speed: Speed,
    device: str,
    config_files: Sequence[str],
) -> None:
    """Write the page; ``speed`` was measured on ``device``, and the last of ``config_files`` is the plan's overlay."""
    spacing, cube_size = plan.values["scan_preprocessing::spacing"], plan.values["cube_size"]
    value_range = plan.intensity.value_range
    cubes_of_epoch = plan.values["cubes_per_scan"] * len(fingerprint.datalist["training"])
    hours = training_hours(fingerprint, plan, speed)
    duration = f"{hours:.2g} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"
    facts = list(fingerprint.facts.values())
    middle = len(examples.cubes) // 2
    pair = genesis_pairs(examples.cubes, list(config_files))[middle]
    clean_and_deformed = {"clean": np.asarray(pair["label"])[0], "deformed": np.asarray(pair["image"])[0]}
    write_page(
        path,
        "planning/report.html",
        name=Path(fingerprint.dataset_dir).name,
        summary=summary(fingerprint),
        notices=[*fingerprint.notes, *([_left_out_summary(fingerprint)] if fingerprint.left_out else [])],
        tiles=[
            (_by(cube_size), "voxels of a cube"),
            (_by(spacing), "mm, a voxel"),
            (f"{plan.values['max_epochs']} x {cubes_of_epoch}", "epochs x cubes"),
            (f"{speed.cubes_per_second:.3g}", f"cubes a second, measured on {device}"),
            (duration, "training with validation at this speed"),
        ],
        command=f'python -m monai.bundle run training --config_file "{list(config_files)}"'.replace(", ", ","),
        settings=plan.settings,
        flat=fingerprint.spatial_dims == 2,
        scans=[
            (
                f"{_short(image, fingerprint)}: {_by(scan.shape[1:])} voxels",
                figure_png(planes_figure({"": scan[0]}, spacing, value_range, cube_size)),
            )
            for image, scan in zip(examples.images, examples.scans, strict=True)
        ],
        pair_of=_short(examples.images[middle], fingerprint),
        pair=figure_png(planes_figure(clean_and_deformed, spacing, value_range)),
        charts=[
            ("Intensities, each scan and the mean", figure_png(intensity_figure(fingerprint.voxels, plan.intensity))),
            ("Voxel sizes", figure_png(spacing_figure(facts, spacing))),
            ("Sizes of the scans", figure_png(size_figure(facts, spacing, cube_size))),
        ],
        left_out=[
            replace(scan, image=_short(scan.image, fingerprint)) for scan in fingerprint.left_out[:_LISTED_AT_MOST]
        ],
        left_out_summary=_left_out_summary(fingerprint),
    )


def _left_out_summary(fingerprint: Fingerprint) -> str:
    rules = Counter(scan.rule for scan in fingerprint.left_out)
    by_rule = ", ".join(f"{count} by the rule {rule}" for rule, count in rules.most_common())
    more = len(fingerprint.left_out) - _LISTED_AT_MOST
    return f"{len(fingerprint.left_out)} scans are left out: {by_rule}." + (
        f" The first {_LISTED_AT_MOST} are listed here, all in datalist.json." if more > 0 else ""
    )


def _short(image: str, fingerprint: Fingerprint) -> str:
    """The path below the dataset's folder."""
    root = Path(fingerprint.dataset_dir)
    folder = root if root.is_dir() else root.parent
    return Path(image).relative_to(folder).as_posix() if folder in Path(image).parents else image


def _by(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides)
