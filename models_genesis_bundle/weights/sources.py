"""The state dict and the records in a checkpoint of any known form."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, checked_state
from models_genesis_bundle.weights.file_formats import read_weight_file
from models_genesis_bundle.weights.published.layout import Layout
from models_genesis_bundle.weights.published.table import translated

__all__ = ["WeightSource", "read_source", "recorded_features"]

# Keys of the state dict: in this bundle and MONAI's CheckpointSaver; usual in PyTorch, Lightning and nnU-Net's first version;
# in nnU-Net's second version and nnssl; in SuPreM; in trainings with a student and a teacher.
STATE_KEYS = ("model", "state_dict", "network_weights", "net", "student")
RECORDS = ("network", "preprocessing", "data")  # which entries of the rest are read
SHIPPED = (16, 32, 64, 128)  # features of models/model.pt


@dataclass(frozen=True)
class WeightSource:
    """Tensors to load, and the file's records.

    Attributes:
        name: for messages: the path, or ``the given weights``.
        state: the tensors by key, without wrappers' prefixes.
        prefix: what was removed from each key.
        network: the record of the network (see ``network_record``); empty when there is none.
        preprocessing: the record of the training data's preprocessing, or None.
        data: the record of the training data, or None.
        layout: of a published file, whose tensors have the keys of a network here; None for other files.
    """

    name: str
    state: dict[str, torch.Tensor]
    prefix: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    layout: Layout | None = None


def read_source(
    source: str | os.PathLike | Mapping[str, Any], name: str | None = None, own_keys: Collection[str] = ()
) -> WeightSource:
    """Find the state dict in a checkpoint of this bundle, MONAI or nnU-Net, in a published file, or in a bare state dict.

    The tensors of a published file (see ``load_published``) get the keys of its network here, and its known properties become
    the records.

    Args:
        source: path or content of a checkpoint: a mapping with the state dict under ``model``, ``state_dict``,
            ``network_weights``, ``net`` or ``student``, or the state dict itself.
        name: for messages; by default its path.
        own_keys: keys of the network that is to be loaded; a prefix that is its own, as MONAI's ``UNet`` has ``model.``, stays.

    Raises:
        CheckpointError: the file cannot be read, has a newer format, holds no state dict, weights that are not finite, or
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
    network = records.get("network", {})
    return WeightSource(name, state, prefix, network, records.get("preprocessing"), records.get("data"))


def recorded_features(network: Mapping[str, Any], otherwise: Sequence[int] = SHIPPED) -> list[int]:
    """Channels by level of the ``GenesisUNet`` in a weight file, so that a configuration builds the network that fits it.

    Args:
        network: the file's record of its network (see ``network_record``); empty without a file or a record.
        otherwise: the result without such an entry; by default the channels of the weights that ship.
    """
    return list(network.get("arguments", {}).get("features", otherwise))
