"""The networks that generated algorithms will train, built from their settings on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.weights import read_checkpoint
from monai.bundle import ConfigParser

__all__ = ["build_dints", "build_segresnet", "build_swinunetr", "segresnet_arguments"]

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


def segresnet_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of the ``SegResNetDS`` that ``segresnet`` and ``segresnet2d`` train.

    The scripts change what the settings say: where the spacing is anisotropic, ``segresnet``'s kernels follow it; and NVFuser's
    normalisation, which few have installed, has the same weights as the plain one.

    Args:
        settings: of a generated algorithm.
    """
    parser = ConfigParser(deepcopy(dict(settings)))
    arguments = dict(parser.get_parsed_content("network", instantiate=False).get_config())
    if str(arguments.get("norm")).upper() == "INSTANCE_NVFUSER":
        arguments["norm"] = "INSTANCE"
    if settings.get("anisotropic_scales") and arguments.get("spatial_dims", 3) == 3:
        arguments["resolution"] = parser.get_parsed_content("resample_resolution")
    return arguments


def build_segresnet(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``SegResNetDS`` of ``segresnet``, or the 2D one of ``segresnet2d``."""
    return ConfigParser(segresnet_arguments(settings)).get_parsed_content("")


def build_swinunetr(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``SwinUNETR`` of ``swinunetr``; it needs the package einops."""
    return ConfigParser(deepcopy(dict(settings))).get_parsed_content("network")


def build_dints(settings: Mapping[str, Any]) -> torch.nn.Module:
    """The ``DiNTS`` of ``dints``; a file next to its scripts gives the architecture, and is read so that it cannot run code."""
    parser = ConfigParser(deepcopy(dict(settings)))
    path = Path(parser.get_parsed_content("training_network::arch_ckpt_path"))
    parser["training_network::arch_ckpt"] = read_checkpoint(path, also=ARRAYS)
    parser["training_network::dints_space::device"] = "cpu"
    return parser.get_parsed_content("training_network::network")
