"""What is checked of every weight file, whichever way it is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.wrappers import WRAPPER_PREFIXES, wrapper_prefix
from monai.bundle import ConfigComponent

__all__ = ["FORMAT_VERSION", "checked_state", "require_data", "require_finite"]

FORMAT_VERSION = 2  # 1: a mapping with the state dict under `model`; 2: a state dict with the attribute `records`

CLASS_NAME = re.compile(r"[\w.<>]+")  # a class in a function has <locals> in its name
EVALUATED = ("$", "@", "%")  # a text that begins so is an expression, a reference or a file to MONAI


def checked_state(
    records: Mapping[str, Any],
    state: Mapping[str, Any],
    name: str | os.PathLike,
    prefixes: Sequence[str] = WRAPPER_PREFIXES,
    own_keys: Collection[str] = (),
) -> tuple[dict[str, torch.Tensor], str]:
    """Check what a checkpoint holds, and take wrappers' prefixes off the keys of its tensors.

    Args:
        records: what it says next to the weights.
        state: the weights by key; what is no tensor is left out.
        name: of the file, for messages.
        prefixes: those to take off.
        own_keys: keys of the network that is to be loaded; a prefix that is its own stays.

    Returns:
        The tensors by key, and the prefix that was taken off each key.

    Raises:
        CheckpointError: for a newer format, records that are no plain data, and weights that are NaN or infinite.
    """
    version = records.get("format_version", 0)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: written in format {version}, this bundle reads up to {FORMAT_VERSION}: update the bundle."
        )
    require_data(records, name)
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    prefix = wrapper_prefix(tensors, prefixes, own_keys)
    tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    require_finite(tensors, name)
    return tensors, prefix


def require_data(records: Mapping[str, Any], name: str | os.PathLike) -> None:
    """Refuse records that MONAI would run as code where they get into a configuration.

    These are texts that begin with ``$``, ``@`` or ``%``, and mappings with MONAI's own keys such as ``_target_``. The class
    of the network is a name, which nothing imports. ``initial_weights`` is left out: it gives the names of earlier files, and
    gets into no configuration.

    Args:
        records: by name.
        name: of the file, for the message.

    Raises:
        CheckpointError: naming the first such record.
    """
    network = records.get("network", {})
    if not isinstance(network, Mapping) or not isinstance(network.get("arguments", {}), Mapping):
        raise CheckpointError(
            f"{name}: expected the record network to be a mapping with arguments, found {network!r:.80}."
        )
    target = network.get("_target_", "unknown")
    if not isinstance(target, str) or CLASS_NAME.fullmatch(target) is None:
        raise CheckpointError(f"{name}: expected a class as network._target_, found {target!r:.80}.")
    checked = {key: value for key, value in records.items() if key not in ("network", "initial_weights")}
    checked["network"] = {key: value for key, value in network.items() if key != "_target_"}
    pending, seen = list(checked.items()), set()
    while pending:
        place, value = pending.pop()
        if isinstance(value, str) and value.startswith(EVALUATED):
            raise _refusal(name, place, value)
        if not isinstance(value, Mapping | list | tuple | set) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            if own := ConfigComponent.non_arg_keys.intersection(value):
                raise _refusal(name, place, min(own))
            pending += [(f"{place}.{key}", one) for key, one in value.items()]
        else:
            pending += [(f"{place}.{number}", one) for number, one in enumerate(value)]


def _refusal(name: str | os.PathLike, place: str, found: str) -> CheckpointError:
    return CheckpointError(
        f"{name}: refused, because its record {place} holds {found!r:.80}, which MONAI would run as code. Records are plain "
        "values; take the file from a source that you trust."
    )


def require_finite(state: Mapping[str, torch.Tensor], name: str | os.PathLike) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        state: tensors by key.
        name: of their file or network, for the message.

    Raises:
        CheckpointError: naming the first tensor.
    """
    spoilt = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if spoilt:
        raise CheckpointError(
            f"{name}: {len(spoilt)} tensors hold NaN or infinite values, first {spoilt[0]}. Nothing is loaded or written: the run "
            "has diverged, use an earlier checkpoint."
        )
