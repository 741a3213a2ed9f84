"""Weight files of PyTorch, safetensors and Keras, and the state dict and the records in a checkpoint of any known form."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, checked_state, read_checkpoint
from models_genesis_bundle.weights.published.layout import Layout
from models_genesis_bundle.weights.published.table import translated
from monai.utils import optional_import

__all__ = [
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "WeightSource",
    "read_source",
    "read_weight_file",
    "recorded_features",
    "safetensors",
]

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"  # its records, as on the Hugging Face Hub
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

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


def read_weight_file(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a weight file of PyTorch (``read_checkpoint``), safetensors or Keras 2.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
                return _read_keras_file(path)
    return read_checkpoint(path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    """The records, none without a ``config.json`` in the folder, and the tensors under ``model``."""
    config, package = path.with_name(CONFIG_FILE), safetensors()
    try:
        state = package.load_file(path)
    except Exception as error:  # a damaged file raises what the package's own library defines
        raise CheckpointError(f"{path}: no safetensors file, or a damaged one ({error}). Download it again.") from error
    try:
        records = json.loads(config.read_text()) if config.exists() else {}
    except ValueError as error:
        raise CheckpointError(f"{config}: no JSON ({error}). Download it again.") from error
    if not isinstance(records, dict):
        raise CheckpointError(f"{config}: expected the records of {path.name} by name, found {type(records).__name__}.")
    return {**records, "model": state}


def safetensors() -> Any:
    """The package ``safetensors.torch``, where it is installed."""
    module, available = optional_import("safetensors.torch")
    if not available:
        raise CheckpointError("The package safetensors is needed for files of the Hub: pip install safetensors.")
    return module


def _read_keras_file(path: Path) -> dict[str, Any]:
    """Weights that ``Model.save_weights`` or ``Model.save`` wrote, by their paths, such as ``depth_0_conv/depth_0_conv/kernel``."""
    h5py, available = optional_import("h5py")
    if not available:
        raise CheckpointError(
            f"{path}: reading a Keras file needs the package h5py: `pip install models-genesis-bundle[keras]`."
        )
    weights: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            weights[name.removesuffix(":0")] = torch.from_numpy(item[()])  # TensorFlow appends :0

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(collect)  # this group is in files of Model.save alone
    except (OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: the HDF5 file is truncated or damaged ({path.stat().st_size} bytes; {error}). Copy it again."
        ) from error
    return weights


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

    ``network`` is the file's record of its network; without channels in it, ``otherwise``: by default those of the weights
    that ship.
    """
    return list(network.get("arguments", {}).get("features", otherwise))
