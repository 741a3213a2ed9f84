"""How Auto3DSeg's stock algorithms load initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from models_genesis_bundle.auto3dseg.generated_algorithm import GeneratedAlgorithm
from models_genesis_bundle.auto3dseg.networks import build_dints, build_segresnet, build_swinunetr, segresnet_arguments

__all__ = ["ENTRIES", "Entry", "find_entry"]


@dataclass(frozen=True)
class Entry:
    """The keys of ``hyper_parameters.yaml`` that make an algorithm start from a file; ``::`` goes into a section.

    Attributes:
        target: the form of the file, see ``weights.write_for``.
        switch: the key that turns it on.
        file: the key of the file's path.
        overruling: a key that overrides these when it is set.
        build: the network that will be trained, from the algorithm's settings.
        arguments: arguments of that network, by name, that pretrained weights must agree with.
        spatial_dims: of that network.
        remark: other effects of starting from a file.
    """

    target: str
    switch: str
    file: str
    overruling: str
    build: Callable[[Mapping[str, Any]], torch.nn.Module]
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]
    spatial_dims: int = 3
    remark: str = ""

    def keys(self, path: str) -> dict[str, Any]:
        """The settings that make an algorithm start from the file at ``path``."""
        return {self.switch: True, self.file: path}

    def fits(self, algorithm: GeneratedAlgorithm) -> bool:
        """Whether the algorithm has the keys, and a network of as many dimensions."""
        has_keys = algorithm.get(self.switch) is not None and algorithm.get(self.file) is not None
        return has_keys and (algorithm.get("network::spatial_dims") or 3) == self.spatial_dims


def find_entry(algorithm: GeneratedAlgorithm) -> Entry | None:
    """The entry of an algorithm, recognised by its keys, not by its name; None if there is none."""
    return next((entry for entry in ENTRIES if entry.fits(algorithm)), None)


def _segresnet_shape(settings: Mapping[str, Any]) -> dict[str, Any]:
    arguments = segresnet_arguments(settings)
    names = ("spatial_dims", "init_filters", "blocks_down", "norm", "resolution")
    return {name: arguments[name] for name in names if name in arguments}


def _swinunetr_shape(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings["network"][name] for name in ("feature_size", "use_v2") if name in settings["network"]}


ONE_EPOCH_LESS = "It trains one epoch less than num_epochs says: the file counts as the first."

# Never segresnet's pretrained_ckpt_name: it stays in force after the training, and the ensemble would predict with the
# pretrained weights.
ENTRIES = (
    Entry(
        target="segresnet",
        switch="finetune::enabled",
        file="finetune::ckpt_name",
        overruling="pretrained_ckpt_name",
        build=build_segresnet,
        arguments=_segresnet_shape,
        remark=ONE_EPOCH_LESS,
    ),
    Entry(
        target="segresnet2d",
        switch="finetune::enabled",
        file="finetune::ckpt_name",
        overruling="pretrained_ckpt_name",
        build=build_segresnet,
        arguments=_segresnet_shape,
        spatial_dims=2,
        remark=ONE_EPOCH_LESS,
    ),
    Entry(
        target="swinunetr",
        switch="use_pretrain",
        file="pretrained_path",
        overruling="finetune::activate",
        build=build_swinunetr,
        arguments=_swinunetr_shape,
    ),
    Entry(
        target="dints",
        switch="finetune::activate_finetune",
        file="finetune::pretrained_ckpt_name",
        overruling="",
        build=build_dints,
        arguments=lambda settings: {},
        remark="Its section finetune::overwrite shortens the training; take it out to train in full.",
    ),
)
