"""A published weight file as a ready network, and what to record of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.published.registry import LAYOUTS
from models_genesis_bundle.weights.sources import WeightSource, read_source, read_weight_file
from models_genesis_bundle.weights.transfer import transfer_weights
from monai.bundle import ConfigComponent

__all__ = ["load_published", "published_records"]


def load_published(path: str | os.PathLike) -> torch.nn.Module:
    """Build the network that a published file holds, and load all of its weights.

    The layout is recognised by what is in the file, not by its name; channels and widths are read off the tensors.

    ==================================== ============================================================================
    published file                       network
    ==================================== ============================================================================
    ``Genesis_Chest_CT.pt``              ``GenesisUNet`` that normalises by the batch in evaluation as well
    ``Genesis_Chest_CT.h5``              ``GenesisUNet(upsample="nearest")`` with Keras' epsilon of 1e-3; needs ``h5py``
    ``genesis_nnunet_luna16_006.model``  MONAI's ``DynUNet`` without deep supervision, its axes (Z, Y, X); logits
    ==================================== ============================================================================

    The transfer is logged, see ``transfer_weights``: what stays over are running statistics (of the first), biases that
    instance normalisation takes off again, and the heads of deep supervision (of the last).

    Args:
        path: the file, which the user has downloaded; its licence allows non-commercial use only.

    Returns:
        The network in evaluation mode. Its output for an input is that of the published network, up to rounding.

    Raises:
        CheckpointError: when the file cannot be read, is of no published layout, or lacks a tensor.
    """
    content = read_weight_file(path)
    source = _published_source(content, path)
    definition = {"_target_": source.network["_target_"], **source.network["arguments"]}
    network = ConfigComponent(definition).instantiate()
    transfer_weights(network, content, parts="all", require="all", name=os.fspath(path))
    return network.eval()


def published_records(path: str | os.PathLike) -> dict[str, Any]:
    """The records to write next to a published network's weights, ``write_weights(target, network, **records)``.

    Args:
        path: the file.

    Returns:
        ``preprocessing``: how the training scans were prepared (see ``ScanPreprocessing.record``); ``data``: the published file,
        its source, its licence, what it was trained on.

    Raises:
        CheckpointError: when the file cannot be read or is of no published layout.
    """
    source = _published_source(read_weight_file(path), path)
    return {"preprocessing": dict(source.preprocessing or {}), "data": source.data}


def _published_source(content: dict[str, Any], path: str | os.PathLike) -> WeightSource:
    source = read_source(content, os.fspath(path))
    if not source.renamed_from:
        known = ", ".join(f"{layout.file} ({layout.title})" for layout in LAYOUTS)
        raise CheckpointError(
            f"{Path(path)}: none of the published networks. Known are {known}; the keys found begin with "
            f"{', '.join(list(source.state)[:3])}. Load a file of this bundle with load_weights."
        )
    return source
