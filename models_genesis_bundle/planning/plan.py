"""The planned settings for a set of scans, with their reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.scans.quality import CT_IN_HU, ScanFacts
from models_genesis_bundle.planning.device import Device, bytes_per_cube
from models_genesis_bundle.planning.geometry import SMALLEST_SIDE, cube_sides, sides_after_resampling, target_spacing
from monai.bundle import ConfigComponent

_WINDOW_STEP = 50.0
_NARROW_WINDOW = 2 / 3
_SHARE_OF_MEMORY = 0.6
_SMALLEST_BATCH = 2
_LARGEST_BATCH = 64
_FEWEST_EPOCHS = 5
_USUAL_EPOCHS = 10
_MOST_CUBES_PER_SCAN = 160
_CUBES_PER_PLACE = 8
_SCANS_SMALLER = 10  # per cent
_PLACES_IN_A_CROP = 2
_FLAT_VOXELS = 224 * 224


@dataclass(frozen=True)
class _Effort:
    """The network and amount of training for a kind of device."""

    features: tuple[int, ...]  # channels of the network by level
    why_features: str
    voxels: int  # in a 3D cube
    batch: int  # cubes in a batch
    cubes: int  # in the whole training
    why_cubes: str
    epoch: int  # cubes in an epoch


_ON_CPU = _Effort(
    features=(16, 32, 64, 128),
    why_features="a narrow network, as in models/model.pt",
    voxels=48 * 48 * 24,
    batch=4,
    cubes=12_000,
    why_cubes="as many as for 'own' in docs/results/organs.md. For more cubes, set plan::training_cubes.",
    epoch=1_000,
)
_ON_GPU = _Effort(
    features=(64, 128, 256, 512),
    why_features="the published network",
    voxels=64 * 64 * 32,
    batch=16,
    cubes=1_000_000,
    why_cubes="50 epochs of the paper's size.",
    epoch=10_000,
)
_MUON = "As in configs/optimizer_muon.yaml"
_WHY_MUON = {"optimizer": f"{_MUON}: Muon restores better than SGD and AdamW after the same number of cubes."}


@dataclass(frozen=True)
class Setting:
    """A setting of ``configs/pretrain.yaml`` with its value and the reason for it."""

    name: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Plan:
    """The settings for the pretraining on a set of scans, in the order of the configuration."""

    settings: tuple[Setting, ...]

    @property
    def values(self) -> dict[str, Any]:
        """The settings without their reasons, by name."""
        return {setting.name: setting.value for setting in self.settings}

    @property
    def intensity(self) -> IntensityScaling:
        """The planned scaling."""
        return ConfigComponent(self.values["scan_preprocessing::intensity"]).instantiate()


def make_plan(
    facts: Sequence[ScanFacts],
    kind: str,
    training_scans: int,
    device: Device,
    training_cubes: int | None = None,
    features: Sequence[int] | None = None,
    optimizer: Mapping[str, Any] | None = None,
) -> Plan:
    """Choose the settings for a set of scans.

    Args:
        facts: properties of the scans, or of a sample of them; all 3D or all 2D.
        kind: kind of their intensities, see `intensity_kind`.
        training_scans: number of training scans.
        device: the training's device.
        training_cubes: number of cubes in the whole training; None: chosen for the device.
        features: channels of each level of the network; None: chosen for the device.
        optimizer: the settings of ``configs/optimizer_muon.yaml``; None: the optimizer of the pretraining stays.
    """
    effort = _ON_CPU if device.memory is None else _ON_GPU
    widths = list(features or effort.features)
    why_widths = "Channels of each level, as requested." if features else f"{device.name}: {effort.why_features}."
    spacing, why_spacing = target_spacing(facts)
    sides = sides_after_resampling(facts, spacing)
    cube_size, why_cube = _cube_size(sides, spacing, widths, effort, device)
    places = float(np.median(np.prod(sides, axis=1))) / math.prod(cube_size)
    batch, why_batch = _batch_size(cube_size, widths, effort, device)
    total = effort.cubes if training_cubes is None else training_cubes
    usual = min(effort.epoch, math.ceil(total / _USUAL_EPOCHS))
    per_scan, why_per_scan = _cubes_per_scan(places, training_scans, usual)
    epoch = per_scan * training_scans
    max_epochs = max(_FEWEST_EPOCHS, math.ceil(total / epoch))
    why_epochs = f"{max_epochs} epochs of {epoch} cubes are {max_epochs * epoch} training cubes: " + (
        effort.why_cubes if training_cubes is None else f"{training_cubes} or more were requested."
    )
    workers = 1 if device.memory is None else min(8, max(1, device.cores - 1))
    settings = [
        Setting("scan_preprocessing::intensity", *_intensity(facts, kind)),
        Setting("scan_preprocessing::spacing", spacing, f"In mm. {why_spacing}"),
        Setting("cube_size", cube_size, why_cube),
        Setting("cubes_per_scan", per_scan, why_per_scan),
        Setting("batch_size", batch, why_batch),
        Setting(
            "validate::dataloader::batch_size", 2 * batch, "Validation needs less memory: it has no backward pass."
        ),
        Setting("network_def::features", widths, why_widths),
        Setting("max_epochs", max_epochs, why_epochs),
        *(Setting(name, value, _WHY_MUON.get(name, f"{_MUON}.")) for name, value in (optimizer or {}).items()),
        Setting("num_workers", workers, "Processes that deform cubes; one on a CPU, whose cores the network uses."),
    ]
    if places < _PLACES_IN_A_CROP:
        reason = "Every cube is accepted, even with little body, because the scans are crops that are hardly larger than a cube."
        settings.insert(3, Setting("cube_sampler::rule::min_body", 0.0, reason))
    if len(cube_size) == 2:
        settings.insert(0, Setting("scan_dims", 2, "The images are flat."))
    return Plan(tuple(settings))


def _intensity(facts: Sequence[ScanFacts], kind: str) -> tuple[dict[str, Any], str]:
    mode = "window" if kind == CT_IN_HU else "percentile"
    lower, upper = (getattr(IntensityScaling(mode), name) for name in ("lower", "upper"))
    if kind == CT_IN_HU:
        reason = "CT in HU: the published window, from air to dense bone."
        darkest = np.percentile([scan.low for scan in facts], 5)
        brightest = np.percentile([scan.high for scan in facts], 95)
        low = max(lower, _WINDOW_STEP * math.floor(darkest / _WINDOW_STEP))
        high = min(upper, _WINDOW_STEP * math.ceil(brightest / _WINDOW_STEP))
        if high - low < _NARROW_WINDOW * (upper - lower):
            published = f"{lower:g} to {upper:g} HU"
            reason = (
                f"CT in HU: the range in the scans, which is much narrower than the published window of {published}."
            )
            lower, upper = low, high
    else:
        ends = f"{min(scan.minimum for scan in facts):.4g} to {max(scan.maximum for scan in facts):.4g}"
        reason = f"Intensities from {ends} have no fixed unit: the percentiles {lower} and {upper} of each scan become 0 and 1."
    target = "models_genesis_bundle.data.IntensityScaling"
    return {"_target_": target, "mode": mode, "lower": lower, "upper": upper}, reason


def _cube_size(
    sides: np.ndarray, spacing: Sequence[float], widths: Sequence[int], effort: _Effort, device: Device
) -> tuple[list[int], str]:
    divisor = 2 ** (len(widths) - 1)
    limits = np.percentile(sides, _SCANS_SMALLER, axis=0)
    voxels = effort.voxels if len(spacing) == 3 else _FLAT_VOXELS
    cube_size = cube_sides(limits, spacing, voxels, divisor)
    cut_for_memory = ""
    while _fitting_batch(cube_size, widths, device) < _SMALLEST_BATCH and voxels > SMALLEST_SIDE ** len(spacing):
        voxels //= 2
        cube_size = cube_sides(limits, spacing, voxels, divisor)
        cut_for_memory = " Two larger cubes do not fit into the GPU's memory."
    reach = " x ".join(f"{side * step:.0f}" for side, step in zip(cube_size, spacing, strict=True))
    smaller = (sides < np.array(cube_size) - 0.5).any(axis=1).mean()
    padded = f" {100 * smaller:.0f} % of the scans are smaller and are padded." if smaller else ""
    return cube_size, f"In voxels, sides divisible by {divisor}. It spans {reach} mm.{padded}{cut_for_memory}"


def _fitting_batch(cube_size: Sequence[int], widths: Sequence[int], device: Device) -> float:
    if device.memory is None:
        return math.inf
    return _SHARE_OF_MEMORY * device.memory / bytes_per_cube(widths, cube_size)


def _batch_size(cube_size: Sequence[int], widths: Sequence[int], effort: _Effort, device: Device) -> tuple[int, str]:
    usual = effort.batch * (effort.voxels if len(cube_size) == 3 else _FLAT_VOXELS)
    wanted = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, 2 ** round(math.log2(usual / math.prod(cube_size)))))
    fitting = _fitting_batch(cube_size, widths, device)
    if fitting < wanted:
        share = f"{100 * _SHARE_OF_MEMORY:.0f} %"
        return 2 ** int(math.log2(max(fitting, 1))), f"As many cubes as fit into {share} of the GPU's memory."
    thousands = wanted * math.prod(cube_size) / 1000
    return wanted, f"{thousands:.0f} thousand voxels in a training step use the device fully."


def _cubes_per_scan(places: float, training_scans: int, epoch: int) -> tuple[int, str]:
    wanted = max(1, round(epoch / training_scans))
    most = min(_MOST_CUBES_PER_SCAN, max(1, round(_CUBES_PER_PLACE * places)))
    if wanted <= most:
        cubes = wanted * training_scans
        return wanted, f"With {training_scans} training scans this gives about {cubes} cubes in an epoch."
    if most == _MOST_CUBES_PER_SCAN:
        return most, "The most that one scan gives in an epoch. With few scans, the training has more epochs instead."
    room = max(places, 1)
    return most, f"A scan has room for {room:.3g} cubes side by side; more than {most} cubes would overlap too much."
