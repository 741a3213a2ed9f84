"""How Auto3DSeg's stock algorithms load initial weights, and the networks that they load them into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.auto3dseg.generated_algorithm import GeneratedAlgorithm
from models_genesis_bundle.weights import read_checkpoint
from monai.bundle import ConfigParser

__all__ = ["ENTRIES", "Entry", "build_dints", "find_entry"]

# A searched architecture's file holds NumPy arrays. NumPy 1 and NumPy 2 have the function that rebuilds them in other places.
REBUILD = np.empty(0).__reduce__()[0]
ARRAYS = [
    (REBUILD, "numpy.core.multiarray._reconstruct"),
    (REBUILD, "numpy._core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
]


@dataclass(frozen=True)
class Entry:
    """The keys of ``hyper_parameters.yaml`` that make an algorithm start from a file; ``::`` goes into a section.

    Attributes:
        target: the form of the file, see ``weights.write_for``.
        switch: the key that turns it on.
        file: the key of the file's path.
        overruling: a key that overrides these when it is set.
        build: the network that will be trained, built on the CPU from the algorithm's settings.
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

    def fits(self, algorithm: GeneratedAlgorithm) -> bool:
        """Whether the algorithm has the keys, and a network of as many dimensions."""
        has_keys = algorithm.get(self.switch) is not None and algorithm.get(self.file) is not None
        return has_keys and (algorithm.get("network::spatial_dims") or 3) == self.spatial_dims


def find_entry(algorithm: GeneratedAlgorithm) -> Entry | None:
    """The entry of an algorithm, recognised by its keys, not by its name; None for an unknown algorithm."""
    return next((entry for entry in ENTRIES if entry.fits(algorithm)), None)


def segresnet_definition(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of the ``SegResNetDS`` that ``segresnet`` and ``segresnet2d`` train.

    The scripts change what the settings say: where the spacing is anisotropic, ``segresnet``'s kernels follow it; and NVFuser's
    normalisation, which few have installed, has the same weights as the plain one.
    """
    parser = ConfigParser(deepcopy(dict(settings)))
    definition = dict(parser.get_parsed_content("network", instantiate=False).get_config())
    if str(definition.get("norm")).upper() == "INSTANCE_NVFUSER":
        definition["norm"] = "INSTANCE"
    if settings.get("anisotropic_scales") and definition.get("spatial_dims", 3) == 3:
        definition["resolution"] = parser.get_parsed_content("resample_resolution")
    return definition


def build_segresnet(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``SegResNetDS`` of ``segresnet``, or the 2D one of ``segresnet2d``."""
    return ConfigParser(segresnet_definition(settings)).get_parsed_content("")


def segresnet_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    definition = segresnet_definition(settings)
    names = ("spatial_dims", "init_filters", "blocks_down", "norm", "resolution")
    return {name: definition[name] for name in names if name in definition}


def build_swinunetr(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``SwinUNETR`` of ``swinunetr``; it needs the package einops."""
    return ConfigParser(deepcopy(dict(settings))).get_parsed_content("network")


def swinunetr_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings["network"][name] for name in ("feature_size", "use_v2") if name in settings["network"]}


def build_dints(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``DiNTS`` of ``dints``; a file next to its scripts gives the architecture, and is read so that it cannot run code."""
    parser = ConfigParser(deepcopy(dict(settings)))
    path = Path(parser.get_parsed_content("training_network::arch_ckpt_path"))
    parser["training_network::arch_ckpt"] = read_checkpoint(path, also=ARRAYS)
    parser["training_network::dints_space::device"] = "cpu"
    return parser.get_parsed_content("training_network::network")


# Never segresnet's pretrained_ckpt_name: it stays in force after the training, and the ensemble would predict with the
# pretrained weights.
SEGRESNET = Entry(
    target="segresnet",
    switch="finetune::enabled",
    file="finetune::ckpt_name",
    overruling="pretrained_ckpt_name",
    build=build_segresnet,
    arguments=segresnet_arguments,
    remark="It trains one epoch less than num_epochs says: the file counts as the first.",
)
ENTRIES = (
    SEGRESNET,
    replace(SEGRESNET, target="segresnet2d", spatial_dims=2),
    Entry(
        target="swinunetr",
        switch="use_pretrain",
        file="pretrained_path",
        overruling="finetune::activate",
        build=build_swinunetr,
        arguments=swinunetr_arguments,
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
