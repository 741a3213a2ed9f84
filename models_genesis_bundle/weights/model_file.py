"""The bundle's weight format: a network's weights together with all one needs to know to use them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models_genesis_bundle.version import __version__
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, read_checkpoint, write_checkpoint
from models_genesis_bundle.weights.differing_arguments import differing_arguments
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, network_parts
from models_genesis_bundle.weights.wrappers import PYTORCH_PREFIXES, unwrap, wrapper_prefix

__all__ = [
    "load_weights",
    "network_record",
    "read_weights",
    "require_finite",
    "require_known_format",
    "require_same_network",
    "state_on_cpu",
    "write_weights",
]

FORMAT_VERSION = 1


def network_record(network: torch.nn.Module) -> dict[str, Any]:
    """What a weight file says of a network: its class, its arguments and which keys are encoder, decoder and head.

    Arguments are known for networks that have ``config()``, as ``GenesisUNet`` has; parts for those and for the MONAI
    networks that ``key_parts`` recognises. What is not known is left out.
    """
    network = unwrap(network)
    record: dict[str, Any] = {"_target_": f"{type(network).__module__}.{type(network).__qualname__}"}
    if hasattr(network, "config"):
        record["arguments"] = network.config()
    with contextlib.suppress(UnknownLayoutError):
        record["parts"] = network_parts(network)
    return record


def write_weights(path: str | os.PathLike, network: torch.nn.Module, **records: Any) -> Path:
    """Write a weight file: ``model`` (the state dict), ``network``, ``format_version``, ``bundle_version`` and ``records``.

    Args:
        path: the file.
        network: the network, wrapped or not.
        records: plain values that say how the weights came to be: ``preprocessing``, ``data``, ``metrics``, ``epoch``.

    Raises:
        CheckpointError: when the file could not be written; an earlier file at ``path`` is kept.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "bundle_version": __version__,
        "network": network_record(network),
        "model": state_on_cpu(network),
        **records,
    }
    return write_checkpoint(content, path)


def read_weights(path: str | os.PathLike) -> dict[str, Any]:
    """Read a weight file of this bundle.

    What ``DataParallel`` or ``torch.compile`` put before every key of ``model`` is taken off.

    Raises:
        CheckpointError: when the file cannot be read, is of a newer format, or holds no ``model``.
    """
    content = read_checkpoint(path)
    if not isinstance(content.get("model"), Mapping):
        raise CheckpointError(
            f"{path}: no weight file of this bundle: expected the key 'model' with a state dict, "
            f"found the keys {sorted(map(str, content))[:8]}."
        )
    require_known_format(content, path)
    state = {str(key): value for key, value in content["model"].items()}
    prefix = wrapper_prefix(state, PYTORCH_PREFIXES)
    return {**content, "model": {key.removeprefix(prefix): value for key, value in state.items()}}


def require_known_format(content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Refuse a file that a newer version of the bundle wrote.

    Raises:
        CheckpointError: naming both formats.
    """
    version = content.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: written in format {version}, this bundle reads up to {FORMAT_VERSION}: update the bundle."
        )


def load_weights(network: torch.nn.Module, path: str | os.PathLike) -> torch.nn.Module:
    """Load every weight of a file into a network of the same definition; nothing less is accepted.

    Args:
        network: receives the weights.
        path: a weight file of this bundle.

    Returns:
        The network.

    Raises:
        CheckpointError: when the file is of another network, or its weights are not finite; the message names the arguments
            and tensors.
    """
    content = read_weights(path)
    require_same_network(network, content, path)
    unwrap(network).load_state_dict(content["model"])
    return network


def require_same_network(network: torch.nn.Module, content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Refuse ``content`` unless its weights have the keys and shapes of ``network``'s and are finite.

    Raises:
        CheckpointError: naming the arguments and the first tensors that differ, or the first tensor that is not finite.
    """
    own = {key: tuple(value.shape) for key, value in unwrap(network).state_dict().items()}
    found = {key: tuple(value.shape) for key, value in content["model"].items()}
    if own == found:
        require_finite(content["model"], path)
        return
    differing = [
        f"{key}: the file has {found.get(key, 'nothing')}, the network {own.get(key, 'nothing')}"
        for key in dict.fromkeys([*own, *found])
        if own.get(key) != found.get(key)
    ]
    raise CheckpointError(
        f"{path}: a checkpoint of another network: {len(differing)} of {len(own)} tensors differ. "
        + differing_arguments(content.get("network", {}), network_record(network))
        + f"First differences: {'; '.join(differing[:3])}."
    )


def require_finite(state: Mapping[str, torch.Tensor], name: str | os.PathLike) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        state: tensors by key.
        name: of their file, for the message.

    Raises:
        CheckpointError: naming the first tensor.
    """
    spoilt = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if spoilt:
        raise CheckpointError(
            f"{name}: {len(spoilt)} tensors hold NaN or infinite values, first {spoilt[0]}, and nothing was loaded. "
            "The run that wrote it has diverged: use an earlier checkpoint."
        )


def state_on_cpu(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a network, wrapped or not, on the CPU; one that stands under several keys, as in ``DynUNet``, stays one."""
    state = unwrap(network).state_dict(keep_vars=True)
    moved = {id(value): value.detach().cpu() for value in state.values()}
    return {key: moved[id(value)] for key, value in state.items()}
