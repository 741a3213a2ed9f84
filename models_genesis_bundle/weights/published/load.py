"""A published weight file as a network, and the records for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.key_parts import network_parts
from models_genesis_bundle.weights.published.table import KNOWN
from models_genesis_bundle.weights.sources import WeightSource, read_source, read_weight_file
from models_genesis_bundle.weights.transfer import transfer_weights
from models_genesis_bundle.weights.transfer_plan import TransferReport
from monai.bundle import ConfigComponent

__all__ = ["load_published", "published_network", "published_records"]


def load_published(path: str | os.PathLike) -> torch.nn.Module:
    """Build the network of a published file, and load all of its weights.

    The file's tensors show its layout, channels and widths; docs/how-to/published_weights.md lists the files and their networks.
    The transfer is logged (see ``transfer_weights``): tensors that the network lacks stay unused, and a decoder or a head that
    the file does not hold is new.

    Args:
        path: the downloaded file; mind its licence.

    Returns:
        The network in evaluation mode. Its output for an input is that of the published network, up to rounding; for CT-FM and
        nnssl the axes of input and output are (X, Y, Z), not (Z, Y, X).

    Raises:
        CheckpointError: the file cannot be read, has no published layout, or lacks a tensor.
    """
    return published_network(path)[0].eval()


def published_network(path: str | os.PathLike) -> tuple[torch.nn.Module, TransferReport]:
    """The network of ``load_published``, in training mode, and the report of the transfer."""
    content = read_weight_file(path)
    source = _published_source(content, path)
    network = ConfigComponent({"_target_": source.network["_target_"], **source.network["arguments"]}).instantiate()
    held = [part for part, keys in network_parts(network).items() if not source.state.keys().isdisjoint(keys)]
    return network, transfer_weights(network, content, parts="all", require=held, name=source.name)


def published_records(path: str | os.PathLike) -> dict[str, Any]:
    """The records for a published network's weights, as ``write_weights(target, network, **records)`` takes them.

    These are ``preprocessing`` of the training scans (see ``ScanPreprocessing.record``), None when it is not known, and
    ``data``: name, source and licence of the file and its training data.

    Raises:
        CheckpointError: the file cannot be read or has no published layout.
    """
    source = _published_source(read_weight_file(path), path)
    return {"preprocessing": source.preprocessing, "data": source.data}


def _published_source(content: Mapping[str, Any], path: str | os.PathLike) -> WeightSource:
    source = read_source(content, os.fspath(path))
    if source.layout is None:
        raise CheckpointError(
            f"{source.name}: none of the published files that are known: {KNOWN}. Its keys begin with "
            f"{', '.join(list(source.state)[:3])}. Load a file of this bundle with load_weights."
        )
    return source
