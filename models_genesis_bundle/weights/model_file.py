"""The bundle's weight files: the weights of a network, with records of the network, its training and its data."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle import __version__
from models_genesis_bundle.weights.checkpoint_file import (
    FORMAT_VERSION,
    CheckpointError,
    checked_state,
    require_data,
    write_checkpoint,
)
from models_genesis_bundle.weights.key_parts import PYTORCH_PREFIXES, UnknownLayoutError, network_parts, unwrap
from models_genesis_bundle.weights.sources import read_source, read_weight_file

# Records that only one workflow writes, and this workflow.
RUNS = {
    "label_names": "a segmentation (configs/finetune_segmentation.yaml)",
    "class_names": "a classification (configs/finetune_classification.yaml)",
    "output_activation": "a pretraining (configs/pretrain.yaml)",
}
# Arguments that may differ: channels are adapted, dropout acts only in training, and the class of an encoder may have moved.
FREE_ARGUMENTS = ("in_channels", "out_channels", "output_activation", "dropout", "encoder")


def network_record(network: torch.nn.Module) -> dict[str, Any]:
    """The record of a network: its class, its arguments if it has a method ``config()``, and its parts if they are known."""
    network = unwrap(network)
    record: dict[str, Any] = {"_target_": f"{type(network).__module__}.{type(network).__qualname__}"}
    if hasattr(network, "config"):
        record["arguments"] = network.config()
    with contextlib.suppress(UnknownLayoutError):
        record["parts"] = network_parts(network)
    return record


def bundle_records(network: torch.nn.Module) -> dict[str, Any]:
    """The records of every weight file: its format, the bundle's version and the network."""
    return {"format_version": FORMAT_VERSION, "bundle_version": __version__, "network": network_record(network)}


def write_weights(path: str | os.PathLike, network: torch.nn.Module, **records: Any) -> Path:
    """Write a network's weights and records to a file that any program loads as a state dict, with the attribute ``records``.

    The records ``network``, ``format_version`` and ``bundle_version`` are always written. ``records`` are more plain values, such
    as ``preprocessing``, ``data``, ``metrics`` and ``epoch``. The network may be wrapped.

    Raises:
        CheckpointError: the file could not be written, or a record is not plain data; an earlier file is kept.
    """
    records = {**bundle_records(network), **records}
    require_data(records, path)
    return write_checkpoint(state_on_cpu(network), path, records)


class WeightFile(dict[str, Any]):
    """The content of a weight file: the state dict under ``model``, and the records by name.

    A missing record raises a ``CheckpointError`` that says which run wrote the file.
    """

    def __init__(self, path: str | os.PathLike, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.path = path

    def __missing__(self, record: str) -> Any:
        wanted = "a fine-tuning" if record == "split" else RUNS.get(record, "another run")
        found = next((run for known, run in RUNS.items() if known in self), "a pretraining")
        raise CheckpointError(
            f"{self.path}: the weight file has no record {record!r}, which is needed here. It is from {found}. Give the "
            f"model.pt of {wanted}."
        )


def read_weights(path: str | os.PathLike, own_keys: Collection[str] = ()) -> WeightFile:
    """Read a weight file of this bundle; prefixes of ``DataParallel`` and ``torch.compile`` are removed from the keys of ``model``.

    ``own_keys`` are the keys of the network to load into: a prefix that all of them have is not removed.

    Raises:
        CheckpointError: unreadable file, newer format, no ``model``, non-finite weights, or records that are not plain data.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.weights import read_weights, write_weights
        >>> path = write_weights("pretrained.pt", GenesisUNet(features=(4, 8)), epoch=10)
        >>> read_weights(path)["epoch"]
        10
    """
    content = read_weight_file(path)
    if not isinstance(content.get("model"), Mapping):
        raise CheckpointError(
            f"{path}: not a weight file of this bundle: expected a state dict with records, or under the key 'model', "
            f"found the keys {sorted(map(str, content))[:8]}."
        )
    records = {key: value for key, value in content.items() if key != "model" and not isinstance(value, torch.Tensor)}
    state, _ = checked_state(records, content["model"], path, PYTORCH_PREFIXES, own_keys)
    return WeightFile(path, {**records, "model": state})


def load_weights(
    network: torch.nn.Module, path: str | os.PathLike | Mapping[str, Any], name: str | os.PathLike | None = None
) -> torch.nn.Module:
    """Load all weights of a file into a network with the same definition.

    A missing or extra tensor is an error. Another activation or normalisation than the recorded one is also an error.

    Args:
        network: receives the weights.
        path: a file that ``transfer_weights`` reads, or its content.
        name: name in messages; by default the path.

    Raises:
        CheckpointError: as in ``read_weights``, or a file of another network; the message names what differs. Nothing is loaded.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.weights import load_weights, write_weights
        >>> path = write_weights("pretrained.pt", GenesisUNet(features=(4, 8)))
        >>> network = load_weights(GenesisUNet(features=(4, 8)), path).eval()
    """
    if name is None and isinstance(path, WeightFile):
        name = path.path
    weights = read_source(path, None if name is None else str(name), unwrap(network).state_dict())
    require_same_network(network, {"model": weights.state, "network": weights.network}, weights.name)
    if weights.layout is None:  # published files also serve networks with other settings
        require_recorded_arguments(network, weights.network, weights.name)
    unwrap(network).load_state_dict(weights.state)
    return network


def require_same_network(network: torch.nn.Module, content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Raise a ``CheckpointError`` with the differences if the tensors of the file are not those of the network."""
    own, found = unwrap(network).state_dict(), content["model"]
    differing = [
        f"{key}: the file has {_form(found.get(key))}, the network {_form(own.get(key))}"
        for key in dict.fromkeys([*own, *found])
        if key not in own or key not in found or own[key].shape != found[key].shape or is_whole(found[key], own[key])
    ]
    if not differing:
        return
    theirs, record = content.get("network", {}), network_record(network)
    cause = differing_arguments(theirs, record)
    if theirs.get("_target_", record["_target_"]) != record["_target_"]:
        cause = f"The file is of a {theirs['_target_']}, the network here is a {record['_target_']}. "
    raise CheckpointError(
        f"{path}: a checkpoint of another network: {len(differing)} of {len(own)} tensors differ. {cause}"
        f"First differences: {'; '.join(differing[:3])}."
    )


def require_recorded_arguments(network: torch.nn.Module, written: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Raise a ``CheckpointError`` if arguments that no tensor shows, such as the activation, differ from the record."""
    if differing := differing_arguments(written, network_record(network), FREE_ARGUMENTS):
        raise CheckpointError(f"{path}: a checkpoint of another network, although all tensors fit. {differing}")


def is_whole(value: torch.Tensor, own: torch.Tensor) -> bool:
    """Whether the file has integers, as after quantisation, where the network has floating-point numbers."""
    return own.is_floating_point() and not value.is_floating_point()


def _form(value: torch.Tensor | None) -> str:
    return "nothing" if value is None else f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"


def state_on_cpu(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of a network, wrapped or not, on the CPU; keys that share a tensor still share it."""
    state = unwrap(network).state_dict(keep_vars=True)
    moved = {id(value): value.detach().cpu() for value in state.values()}
    return {key: moved[id(value)] for key, value in state.items()}


def differing_arguments(written: Mapping[str, Any], wanted: Mapping[str, Any], ignored: Collection[str] = ()) -> str:
    """A sentence with the arguments that differ between two records of networks; empty if none differ."""
    theirs, own = written.get("arguments", {}), wanted.get("arguments", {})
    differing = [
        f"{name} is {theirs[name]!r} in the file and {own[name]!r} here (`--network_def::{name} {_for_shell(theirs[name])}`)"
        for name in theirs
        if name in own and name not in ignored and str(theirs[name]).lower() != str(own[name]).lower()
    ]
    return f"Change the network definition: {'; '.join(differing)}. " if differing else ""


def _for_shell(value: Any) -> str:
    return shlex.quote(str(value).replace("'", '"'))


def release_weights(source: str | os.PathLike, output: str | os.PathLike, licence: str) -> Path:
    """Copy a run's weight file, and record the licence of the weights, an SPDX expression; return ``output``.

    Raises:
        CheckpointError: the source is not a weight file, or the output could not be written.
    """
    content = read_weights(source)
    state = content.pop("model")
    return write_checkpoint(state, output, {**content, "format_version": FORMAT_VERSION, "licence": licence})
