"""The network that nnU-Net will train, from its plans."""

from __future__ import annotations

import json
import os
import pydoc
from pathlib import Path
from typing import Any

import torch
from monai.utils import optional_import

from models_genesis_bundle.weights.targets.target import TargetError

__all__ = ["network_of_plans"]

UNETS = "dynamic_network_architectures.architectures.unet"


def network_of_plans(
    plans: str | os.PathLike, in_channels: int, out_channels: int, configuration: str = "3d_fullres"
) -> torch.nn.Module:
    """Build the network of one of the plans' configurations, as ``nnUNetv2_train`` does.

    Needs the package ``dynamic-network-architectures``, which nnU-Net brings.

    Args:
        plans: the file ``nnUNetPlans.json`` that ``nnUNetv2_plan_and_preprocess`` wrote.
        in_channels: of the images.
        out_channels: classes.
        configuration: ``2d``, ``3d_fullres``, ``3d_lowres`` or ``3d_cascade_fullres``.

    Raises:
        TargetError: when the plans cannot be read, have no such configuration, or plan another network than a
            ``PlainConvUNet`` or a ``ResidualEncoderUNet``.
    """
    path = Path(plans)
    try:
        configurations = json.loads(path.read_text())["configurations"]
    except (OSError, ValueError, KeyError) as error:
        raise TargetError(
            f"{path}: no plans of nnU-Net ({error}). Give the nnUNetPlans.json in nnUNet_preprocessed."
        ) from error
    architecture = _architecture(configurations, configuration, path)
    name = str(architecture["network_class_name"]).rpartition(".")[2]
    if name not in ("PlainConvUNet", "ResidualEncoderUNet"):
        raise TargetError(
            f"{path}: {configuration} plans a {name}; only PlainConvUNet and ResidualEncoderUNet are known."
        )
    unet, available = optional_import(UNETS, name=name)
    if not available:
        raise TargetError("The plans' network needs a package: pip install models-genesis-bundle[nnunet]")
    arguments = dict(architecture["arch_kwargs"])
    for argument in architecture["_kw_requires_import"]:
        arguments[argument] = None if arguments[argument] is None else pydoc.locate(arguments[argument])
    return unet(input_channels=in_channels, num_classes=out_channels, **arguments)


def _architecture(configurations: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A configuration's architecture, its own or that of the one it inherits from."""
    asked = name
    while name in configurations:
        if "architecture" in configurations[name]:
            return configurations[name]["architecture"]
        name = configurations[name].get("inherits_from", "")
    raise TargetError(f"{path}: no architecture for {asked}. The configurations are {', '.join(configurations)}.")
