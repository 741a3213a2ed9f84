"""The network in nnU-Net's plans."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights.targets.nnunet import with_classes
from models_genesis_bundle.weights.targets.target import TargetError
from monai.utils import optional_import

__all__ = ["UNETS", "PlannedTraining", "network_of_plans", "read_plans"]

UNETS = "dynamic_network_architectures.architectures.unet"


@dataclass(frozen=True)
class PlannedTraining:
    """A configuration in nnU-Net's plans, with inherited settings; entries that are missing raise a ``TargetError``."""

    path: Path
    configuration: str
    settings: dict[str, Any]
    plans: dict[str, Any]

    @property
    def network(self) -> str:
        """The class of the network: ``PlainConvUNet`` or ``ResidualEncoderUNet``."""
        name = str(self.architecture["network_class_name"]).rpartition(".")[2]
        if name not in ("PlainConvUNet", "ResidualEncoderUNet"):
            raise TargetError(
                f"{self.path}: {self.configuration} plans a {name}; only PlainConvUNet and ResidualEncoderUNet are known."
            )
        return name

    @property
    def architecture(self) -> dict[str, Any]:
        """Class and arguments of the network; the plans of nnU-Net 2.3 and older have none."""
        return self.get("architecture")

    @property
    def axes(self) -> tuple[int, ...]:
        """The permutation of an array (Z, Y, X) in nnU-Net's training."""
        return tuple(self.plans.get("transpose_forward", (0, 1, 2)))

    def get(self, name: str) -> Any:
        """An entry of the configuration."""
        if name not in self.settings:
            raise TargetError(
                f"{self.path}: no {name} for {self.configuration}. The entries are {', '.join(self.settings)}. Plan again "
                "with a current nnU-Net (nnUNetv2_plan_experiment)."
            )
        return self.settings[name]


def read_plans(plans: str | os.PathLike, configuration: str = "3d_fullres") -> PlannedTraining:
    """Read a configuration, such as ``3d_fullres`` or ``2d``, of the ``nnUNetPlans.json`` that nnU-Net wrote.

    Raises:
        TargetError: the file cannot be read, or has no such configuration.
    """
    path = Path(plans)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        configurations = content["configurations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"{path}: no plans of nnU-Net ({error}). Give the nnUNetPlans.json in nnUNet_preprocessed."
        ) from error
    settings: dict[str, Any] = {}
    name, seen = configuration, set()
    while name and name not in seen:
        if name not in configurations:
            raise TargetError(f"{path}: no configuration {name}. The configurations are {', '.join(configurations)}.")
        seen.add(name)
        settings = {**configurations[name], **settings}
        name = configurations[name].get("inherits_from", "")
    return PlannedTraining(path, configuration, settings, content)


def network_of_plans(planned: PlannedTraining, in_channels: int, out_channels: int) -> torch.nn.Module:
    """Build the planned network as ``nnUNetv2_train`` does; needs the package ``dynamic-network-architectures``.

    Raises:
        TargetError: the plans have no network, or another than a ``PlainConvUNet`` or a ``ResidualEncoderUNet``.
    """
    architecture = planned.architecture
    unet, available = optional_import(UNETS, name=planned.network)
    if not available:
        raise TargetError("The plans' network needs a package: pip install models-genesis-bundle[nnunet]")
    arguments = with_classes(architecture["arch_kwargs"], architecture["_kw_requires_import"])
    return unet(input_channels=in_channels, num_classes=out_channels, **arguments)
