"""The pretraining settings that fit nnU-Net's plans."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from models_genesis_bundle.planning.plan import Setting
from models_genesis_bundle.weights import TargetError
from models_genesis_bundle.weights.checkpoint_file import require_data
from models_genesis_bundle.weights.targets.nnunet import UNETS, PlannedTraining, read_plans, zyx_order

_TORCH_CLASS = re.compile(r"torch\.nn(\.\w+)+")


def settings_from_plans(plans: str | os.PathLike, configuration: str = "3d_fullres", channel: int = 0) -> list[Setting]:
    """The settings of ``configs/pretrain.yaml`` that fit a configuration of nnU-Net's plans, each with its reason.

    They are nnU-Net's network class, patch size, batch size, spacing and intensity scaling. Values for axes are in the order
    (X, Y, Z) of scans in RAS. In the plans, they are in the order (Z, Y, X) permuted by ``transpose_forward``.

    Args:
        plans: the file ``nnUNetPlans.json``.
        configuration: name of the configuration in the plans.
        channel: number of the channel that defines the intensity scaling, because pretraining reads one channel.

    Raises:
        CheckpointError: the plans cannot be read, contain text that MONAI would run as code, or need something that
            pretraining does not support.

    Examples:
        >>> from models_genesis_bundle.planning import settings_from_plans
        >>> settings_from_plans("nnUNetPlans.json")[1]  # doctest: +SKIP
        Setting(name='cube_size', value=[128, 128, 64], reason="In voxels: nnU-Net's patch.")
    """
    planned = read_plans(plans, configuration)
    require_data(planned.settings, planned.path)
    try:
        patch_size = _in_order(planned, planned.get("patch_size"))
        if len(patch_size) == 2 and planned.axes[0] != 0:
            raise TargetError(
                f"{planned.path}: {configuration} is planned for other slices than axial ones (transpose_forward "
                f"{list(planned.axes)}), which pretraining in 2D does not support. Use 3d_fullres."
            )
        network = f"The {planned.network} that nnU-Net will train, with the axes in the order X, Y, Z."
        batch_size = int(planned.get("batch_size"))
        return [
            Setting("network_def", _network(planned), network),
            Setting("cube_size", patch_size, "In voxels: nnU-Net's patch."),
            Setting("batch_size", batch_size, "nnU-Net's batch size; set a smaller one if memory is short."),
            Setting("scan_preprocessing::spacing", _spacing(planned), "In mm: the spacing after nnU-Net's resampling."),
            _intensity(planned, channel),
        ]
    except (KeyError, IndexError) as error:
        raise TargetError(
            f"{planned.path}: {configuration} has no {error}. Plan again with a current nnU-Net."
        ) from error


def _in_order(planned: PlannedTraining, sides: Sequence[Any]) -> list[Any]:
    """Values for the axes of nnU-Net's arrays, in the order X, Y, Z."""
    order = zyx_order("RAS"[: len(sides)], planned.axes)
    return [sides[order.index(axis)] for axis in range(len(sides))]


def _spacing(planned: PlannedTraining) -> list[float]:
    spacing = list(planned.get("spacing"))
    if len(spacing) == 2:  # nnU-Net does not resample between slices; this bundle needs the distance of the slices
        spacing.insert(0, planned.plans["original_median_spacing_after_transp"][0])
    return [float(side) for side in _in_order(planned, spacing)]


def _network(planned: PlannedTraining) -> dict[str, Any]:
    architecture = planned.get("architecture")
    arguments = {**architecture["arch_kwargs"], "deep_supervision": False}
    for name in architecture["_kw_requires_import"]:
        imported = arguments[name]
        if imported is not None:
            if not _TORCH_CLASS.fullmatch(str(imported)):
                raise TargetError(f"{planned.path}: {name} is {imported!r}; expected a class of torch.nn.")
            arguments[name] = f"${imported}"
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
    }


def _intensity(planned: PlannedTraining, channel: int) -> Setting:
    schemes = planned.get("normalization_schemes")
    if not 0 <= channel < len(schemes):
        raise TargetError(f"{planned.path}: no channel {channel}; the plans have {len(schemes)}, counted from 0.")
    scheme = schemes[channel]
    if scheme == "CTNormalization":
        found = planned.plans["foreground_intensity_properties_per_channel"][str(channel)]
        names = {"mean": "mean", "std": "std", "lower": "percentile_00_5", "upper": "percentile_99_5"}
        scaling = {"mode": "zscore", **{name: float(found[theirs]) for name, theirs in names.items()}}
    elif scheme in _SCALINGS:
        scaling = _SCALINGS[scheme]
    else:
        raise TargetError(
            f"{planned.path}: channel {channel} has the normalisation {scheme}; pretraining supports CTNormalization, "
            f"{', '.join(_SCALINGS)}."
        )
    masked = scheme == "ZScoreNormalization" and planned.get("use_mask_for_norm")[channel]
    but = ", but over all voxels, while nnU-Net uses only voxels that are not 0" if masked else ""
    component = {"_target_": "models_genesis_bundle.data.IntensityScaling", **scaling}
    return Setting("scan_preprocessing::intensity", component, f"nnU-Net's {scheme}{but}.")


_SCALINGS: dict[str, dict[str, Any]] = {
    "ZScoreNormalization": {"mode": "zscore"},
    "RescaleTo01Normalization": {"mode": "percentile", "lower": 0.0, "upper": 100.0},
    "RGBTo01Normalization": {"mode": "window", "lower": 0.0, "upper": 255.0},
}
