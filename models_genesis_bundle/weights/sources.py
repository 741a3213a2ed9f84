"""State dicts out of whatever a checkpoint wraps them in."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, read_checkpoint
from models_genesis_bundle.weights.checks import checked_state
from models_genesis_bundle.weights.published.keras_file import is_hdf5, read_keras_file
from models_genesis_bundle.weights.published.layout import Layout
from models_genesis_bundle.weights.published.table import translated
from models_genesis_bundle.weights.safetensors_file import read_safetensors

__all__ = ["WeightSource", "read_source", "read_weight_file", "recorded_features"]

# Where checkpoints keep the state dict: this bundle and MONAI's CheckpointSaver; PyTorch's usual name, also Lightning's
# and nnU-Net's first version; nnU-Net's second version, also nnssl; SuPreM; trainings with a student and a teacher.
STATE_KEYS = ("model", "state_dict", "network_weights", "net", "student")
RECORDS = ("network", "preprocessing", "data")  # what is taken of the rest


@dataclass(frozen=True)
class WeightSource:
    """Tensors to load, and what the file says of them.

    Attributes:
        name: for messages: the path, or ``the given weights``.
        state: the tensors by key, wrappers' prefixes taken off.
        prefix: what was taken off each key.
        network: the file's record of its network (see ``network_record``); empty when it has none.
        preprocessing: its record of how the training data was preprocessed; None when it has none.
        data: its record of the training data; None when it has none.
        layout: what the file is, when others published it; its tensors are those of a network here then.
    """

    name: str
    state: dict[str, torch.Tensor]
    prefix: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    layout: Layout | None = None


def read_weight_file(path: str | os.PathLike) -> dict[str, Any]:
    """What a weight file holds: of PyTorch (``read_checkpoint``), safetensors (``read_safetensors``), Keras (``read_keras_file``).

    Raises:
        CheckpointError: when it cannot be read.
    """
    if Path(path).suffix == ".safetensors":
        return read_safetensors(Path(path))
    return dict(read_keras_file(path)) if is_hdf5(path) else read_checkpoint(path)


def read_source(
    source: str | os.PathLike | Mapping[str, Any], name: str | None = None, own_keys: Collection[str] = ()
) -> WeightSource:
    """Find the state dict in a checkpoint of this bundle, of MONAI, of nnU-Net, or in a bare one.

    A file that others published (see ``load_published``) is recognised by its tensors. It gets the keys of the network that it
    becomes here, and what is known of it as records.

    Args:
        source: the path of a checkpoint, or the mapping that it holds: with the state dict under ``model``, ``state_dict``,
            ``network_weights``, ``net`` or ``student``, or the state dict itself.
        name: what messages call it; by default its path.
        own_keys: keys of the network that is to be loaded; a prefix that is its own, as MONAI's ``UNet`` has ``model.``, stays.

    Raises:
        CheckpointError: when the file cannot be read, is of a newer format, holds no state dict, weights that are not finite, or
            records that are no plain data.
    """
    if isinstance(source, Mapping):
        name, content = name or "the given weights", source
    else:
        name, content = name or os.fspath(source), read_weight_file(source)
    found = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), Mapping)), content)
    records = {key: content[key] for key in RECORDS if isinstance(content.get(key), Mapping)}
    version = content.get("format_version", 0)
    state, prefix = checked_state({**records, "format_version": version}, found, name, own_keys=own_keys)
    if not state:
        raise CheckpointError(
            f"{name}: holds no weights: expected a state dict, alone or under {', '.join(STATE_KEYS)}, "
            f"found the keys {sorted(map(str, content))[:8]}."
        )
    known = None if "network" in records else translated(state, content)
    if known is not None:
        layout, own = known
        network = {"_target_": own.target, "arguments": dict(own.arguments)}
        scans = None if own.preprocessing is None else dict(own.preprocessing)
        return WeightSource(name, own.state, prefix, network, scans, layout.record(), layout)
    return WeightSource(
        name=name,
        state=state,
        prefix=prefix,
        network=records.get("network", {}),
        preprocessing=records.get("preprocessing"),
        data=records.get("data"),
    )


SHIPPED = (16, 32, 64, 128)  # of models/model.pt


def recorded_features(network: Mapping[str, Any], otherwise: Sequence[int] = SHIPPED) -> list[int]:
    """Channels by level of the ``GenesisUNet`` in a weight file, so that a configuration builds the network that fits it.

    Args:
        network: the file's record of its network (see ``network_record``); empty without a file or a record.
        otherwise: what is returned where the record does not say; by default the channels of the weights that ship.
    """
    return list(network.get("arguments", {}).get("features", otherwise))
