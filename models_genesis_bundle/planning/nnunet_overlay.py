"""The pretraining settings that fit nnU-Net's plans."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.planning.plan import Setting
from models_genesis_bundle.weights import TargetError
from models_genesis_bundle.weights.targets.nnunet import UNETS, PlannedTraining, read_plans, zyx_order

__all__ = ["settings_from_plans"]

IMPORTED = re.compile(r"torch\.nn(\.\w+)+")


def settings_from_plans(plans: str | os.PathLike, configuration: str = "3d_fullres", channel: int = 0) -> list[Setting]:
    """The settings of ``configs/pretrain.yaml`` that fit one of the configurations of nnU-Net's plans.

    nnU-Net's own class of network, its patch, batch, spacing and intensities. Lists of axes are those of scans in the
    orientation RAS, (X, Y, Z), where the plans have (Z, Y, X) in the order of ``transpose_forward``.

    Args:
        plans: the file ``nnUNetPlans.json``.
        configuration: of the plans.
        channel: the channel whose intensities are taken, if the images have several: pretraining reads one.

    Returns:
        The settings, each with its reason.

    Raises:
        TargetError: when the plans cannot be read, or need what pretraining cannot do.

    Examples:
        >>> from models_genesis_bundle.planning import settings_from_plans
        >>> settings_from_plans("nnUNetPlans.json")[1]  # doctest: +SKIP
        Setting(name='cube_size', value=[128, 128, 64], reason="Voxels: nnU-Net's patch.")
    """
    planned = read_plans(plans, configuration)
    try:
        _require_axes(planned)
        return [
            Setting(
                "network_def", _network(planned), f"The {planned.network} that nnU-Net will train, its axes X, Y, Z."
            ),
            Setting("cube_size", _in_order(planned, planned.get("patch_size")), "Voxels: nnU-Net's patch."),
            Setting(
                "batch_size", int(planned.get("batch_size")), "nnU-Net's, for its patch; less where memory is short."
            ),
            Setting("scan_preprocessing::spacing", _spacing(planned), "Millimetres: what nnU-Net resamples to."),
            *_intensity(planned, channel),
        ]
    except (KeyError, IndexError) as error:
        raise TargetError(
            f"{planned.path}: {configuration} lacks {error}. Plan again with a current nnU-Net."
        ) from error


def _require_axes(planned: PlannedTraining) -> None:
    sides = len(planned.get("patch_size"))
    if sides not in (2, 3):
        raise TargetError(f"{planned.path}: expected a patch of 2 or 3 sides, found {planned.get('patch_size')}.")
    if sides == 2 and planned.axes[0] != 0:
        raise TargetError(
            f"{planned.path}: {planned.configuration} is planned for other slices than axial ones (transpose_forward "
            f"{list(planned.axes)}), which pretraining in 2D does not take. Take 3d_fullres."
        )


def _in_order(planned: PlannedTraining, sides: Sequence[Any]) -> list[Any]:
    """Numbers for the axes of nnU-Net's arrays as numbers for X, Y, Z."""
    order = zyx_order("RAS"[: len(sides)], planned.axes)
    return [sides[order.index(axis)] for axis in range(len(sides))]


def _spacing(planned: PlannedTraining) -> list[float]:
    spacing = list(planned.get("spacing"))
    if len(spacing) == 2:  # nnU-Net leaves slices where they are; here a volume has one distance of slices
        spacing.insert(0, planned.plans["original_median_spacing_after_transp"][0])
    return [float(side) for side in _in_order(planned, spacing)]


def _network(planned: PlannedTraining) -> dict[str, Any]:
    architecture = planned.architecture
    arguments = dict(architecture["arch_kwargs"])
    imported = {name: arguments.pop(name) for name in architecture["_kw_requires_import"]}
    for name, value in imported.items():
        if value is not None and not IMPORTED.fullmatch(str(value)):
            raise TargetError(f"{planned.path}: {name} is {value!r}; expected a class of torch.nn.")
    arguments.pop("deep_supervision", None)
    for name, value in arguments.items():
        _require_numbers(value, f"{planned.path}: {name}")
    for name in ("kernel_sizes", "strides"):
        if isinstance(arguments[name], list):
            arguments[name] = [
                _in_order(planned, stage) if isinstance(stage, list) else stage for stage in arguments[name]
            ]
    return {
        "_target_": f"{UNETS}.{planned.network}",
        "input_channels": "@in_channels",
        "num_classes": "@out_channels",
        **arguments,
        **{name: None if value is None else f"${value}" for name, value in imported.items()},
        "deep_supervision": False,
    }


def _require_numbers(value: Any, name: str) -> None:
    """Refuse text: MONAI would run what begins with a dollar sign."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not str(key).isidentifier():
                raise TargetError(f"{name}: expected names of arguments, found {key!r}.")
            _require_numbers(entry, f"{name}.{key}")
    elif isinstance(value, list):
        for entry in value:
            _require_numbers(entry, name)
    elif isinstance(value, str):
        raise TargetError(f"{name}: expected numbers, found the text {value!r}.")


def _intensity(planned: PlannedTraining, channel: int) -> list[Setting]:
    schemes = planned.get("normalization_schemes")
    if not 0 <= channel < len(schemes):
        raise TargetError(f"{planned.path}: no channel {channel}; the plans have {len(schemes)}, counted from 0.")
    scheme = schemes[channel]
    scaling: dict[str, Any] = {"_target_": "models_genesis_bundle.data.IntensityScaling"}
    match scheme:
        case "CTNormalization":
            found = planned.plans["foreground_intensity_properties_per_channel"][str(channel)]
            limits = {"lower": float(found["percentile_00_5"]), "upper": float(found["percentile_99_5"])}
            scaling |= {"mode": "zscore", "mean": float(found["mean"]), "std": float(found["std"]), **limits}
        case "ZScoreNormalization":
            scaling |= {"mode": "zscore"}
        case "RescaleTo01Normalization":
            scaling |= {"mode": "percentile", "lower": 0.0, "upper": 100.0}
        case "RGBTo01Normalization":
            scaling |= {"mode": "window", "lower": 0.0, "upper": 255.0}
        case _:
            raise TargetError(
                f"{planned.path}: channel {channel} has the normalisation {scheme}; pretraining has CTNormalization, "
                "ZScoreNormalization, RescaleTo01Normalization and RGBTo01Normalization."
            )
    masked = scheme == "ZScoreNormalization" and planned.get("use_mask_for_norm")[channel]
    but = ", but over all voxels: nnU-Net takes those alone that are not 0" if masked else ""
    settings = [Setting("scan_preprocessing::intensity", scaling, f"nnU-Net's {scheme}{but}.")]
    if scaling["mode"] == "zscore":
        settings += [
            Setting("output_activation", None, "Z-scores are not within 0 ... 1: no sigmoid follows."),
            Setting(
                "learning_rate", 0.1, "Of SGD, for the larger errors of z-scores; overlays of optimizers come after."
            ),
        ]
    return settings
