"""Weight files of PyTorch, safetensors and Keras: where they are, and reading of their state dict and records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.messages import causes
from models_genesis_bundle.weights.checkpoint_file import (
    CheckpointError,
    checked_state,
    optional_package,
    read_checkpoint,
)
from models_genesis_bundle.weights.published import translated
from models_genesis_bundle.weights.published.layout import Layout

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"  # its records, as on the Hugging Face Hub
SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "model.pt"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
IN_A_BUNDLE = "models/model.pt"
IN_A_RUN = "checkpoints/model.pt"
SUFFIXES = (".pt", ".pth", ".ckpt", ".model", ".h5", ".hdf5", ".safetensors")  # of weight files
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# Keys of the state dict: in MONAI; in PyTorch, Lightning and nnU-Net 1; in nnU-Net 2 and nnssl; in SuPreM; of a student network.
STATE_KEYS = ("model", "state_dict", "network_weights", "net", "student")
RECORDS = ("network", "preprocessing", "data")  # the other entries that are read
SHIPPED = (16, 32, 64, 128)  # features of models/model.pt


@dataclass(frozen=True)
class WeightSource:
    """Tensors to load, and the file's records."""

    name: str  # for messages: the path, or "the given weights"
    state: dict[str, torch.Tensor]  # without wrappers' prefixes
    prefix: str = ""  # what was removed from each key
    network: Mapping[str, Any] = field(default_factory=dict)  # see network_record
    preprocessing: dict[str, Any] | None = None  # of the training data
    data: dict[str, Any] | None = None
    layout: Layout | None = None  # of a published file; then the keys are those of the network here


def find_weights(source: str | os.PathLike | None = None, revision: str | None = None) -> Path:
    """The weight file of a source.

    Args:
        source: a weight file; a folder with ``model.safetensors``, ``models/model.pt`` (a bundle) or ``checkpoints/model.pt`` (a
            run); a repository ``owner/name`` of the Hugging Face Hub; None: ``models/model.pt`` of this bundle.
        revision: branch, tag or commit of a repository; None: its newest.

    Raises:
        CheckpointError: the source has no weight file; the message names the expected forms.
    """
    if source is None:
        if not SHIPPED_WEIGHTS.is_file():
            raise CheckpointError(
                f"{SHIPPED_WEIGHTS}: not found. The weights of this bundle are in the bundle's folder, and this package is not "
                "installed from there. Give a weight file, a folder, or a repository of the Hugging Face Hub."
            )
        return SHIPPED_WEIGHTS
    path = Path(source)
    if path.is_file():
        return path
    is_repository = isinstance(source, str) and REPOSITORY.fullmatch(source) and path.suffix not in SUFFIXES
    if is_repository and not path.is_dir():
        path = _downloaded(str(source), revision)
    for name in (WEIGHTS_FILE, IN_A_BUNDLE, IN_A_RUN):
        if (path / name).is_file():
            return path / name
    raise CheckpointError(
        f"{source}: expected a weight file, a folder with {WEIGHTS_FILE}, {IN_A_BUNDLE} or {IN_A_RUN}, or a repository of "
        f"the Hugging Face Hub (owner/name), found {'none of these files in it' if path.is_dir() else 'nothing of that name'}."
    )


def _downloaded(repo_id: str, revision: str | None) -> Path:
    """The folder with a repository's weights in the Hub's cache."""
    hub = optional_package("huggingface_hub", f"{repo_id}: the Hugging Face Hub", "huggingface_hub")
    try:
        wanted = [WEIGHTS_FILE, CONFIG_FILE, IN_A_BUNDLE]
        return Path(hub.snapshot_download(repo_id, revision=revision, allow_patterns=wanted))
    except Exception as error:  # the Hub's client also raises errors of its HTTP library
        reason = " ".join(str(causes(error)[-1]).split())
        raise CheckpointError(
            f"{repo_id}: there is no such local file or folder, and the repository could not be loaded from the Hugging Face Hub "
            f"({reason})."
        ) from error


def read_weight_file(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a weight file of PyTorch (see ``read_checkpoint``), safetensors or Keras 2."""
    path = Path(path)
    beginning = b""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(len(HDF5_SIGNATURE) + 1)
    if path.suffix == ".safetensors" or beginning[8:] == b"{":  # after the length of the header
        return _read_safetensors(path)
    if beginning.startswith(HDF5_SIGNATURE):
        return _read_keras_file(path)
    return read_checkpoint(path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    """The tensors under ``model``, and the records from ``config.json`` if the folder has one."""
    package = optional_package("safetensors.torch", f"{path}: reading it", "safetensors")
    config = path.with_name(CONFIG_FILE)
    try:
        state = package.load_file(path)
    except Exception as error:  # the package raises errors of its own for a damaged file
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error}). Download it again.") from error
    try:
        records = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    except ValueError as error:
        raise CheckpointError(f"{config}: not a JSON file ({error}). Download it again.") from error
    if not isinstance(records, dict):
        raise CheckpointError(f"{config}: expected the records of {path.name} by name, found {type(records).__name__}.")
    return {**records, "model": state}


def _read_keras_file(path: Path) -> dict[str, Any]:
    """Weights of ``Model.save_weights`` or ``Model.save``, by their paths, such as ``depth_0_conv/depth_0_conv/kernel``."""
    h5py = optional_package("h5py", f"{path}: reading a Keras file", "models-genesis-bundle[keras]")
    weights: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            weights[name.removesuffix(":0")] = torch.from_numpy(item[()])  # TensorFlow appends :0

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(collect)  # only Model.save writes this group
    except Exception as error:  # h5py raises almost any error for a damaged file
        raise CheckpointError(
            f"{path}: the HDF5 file is truncated or damaged ({path.stat().st_size} bytes; {error}). Copy it again."
        ) from error
    return weights


def read_source(
    source: str | os.PathLike | Mapping[str, Any], name: str | None = None, own_keys: Collection[str] = ()
) -> WeightSource:
    """Read a source of ``transfer_weights``, and check it.

    Tensors of a published file get the keys of the network here, and its known properties become the records. ``own_keys`` are
    the keys of the network to load into: a prefix that all of them have, as ``model.`` in MONAI's ``UNet``, is not removed.
    """
    if isinstance(source, Mapping):
        name, content = name or "the given weights", source
    else:
        name, content = name or os.fspath(source), read_weight_file(source)
    under = _place_of_state(content, name)
    found = content if under is None else content[under]
    records = {key: content[key] for key in RECORDS if key != under and isinstance(content.get(key), Mapping)}
    version = content.get("format_version", 0)
    state, prefix = checked_state({**records, "format_version": version}, found, name, own_keys=own_keys)
    known = None if "network" in records else translated(state, content)
    if known is not None:
        layout, translation = known
        network = {"_target_": translation.target, "arguments": translation.arguments}
        data, preprocessing = layout.record(), translation.preprocessing
        return WeightSource(name, translation.state, prefix, network, preprocessing, data, layout)
    network = records.get("network", {})
    return WeightSource(name, state, prefix, network, records.get("preprocessing"), records.get("data"))


def _place_of_state(content: Mapping[str, Any], name: str) -> str | None:
    """The key of the state dict in a file: a usual key, or the only one; None if the file is a state dict."""
    dicts = [key for key, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    usual = [key for key in STATE_KEYS if key in dicts]
    if not usual and _has_tensors(content):
        return None
    if usual or len(dicts) == 1:
        return (usual or dicts)[0]
    found = f"several: {', '.join(map(str, dicts))}" if dicts else f"the keys {sorted(map(str, content))[:8]}"
    raise CheckpointError(
        f"{name}: expected a state dict, alone or under a key such as {', '.join(STATE_KEYS)}, found {found}. Save the state "
        "dict alone: torch.save(network.state_dict(), FILE)."
    )


def _has_tensors(values: Mapping[str, Any]) -> bool:
    return any(isinstance(value, torch.Tensor) for value in values.values())


def recorded_features(network: Mapping[str, Any], otherwise: Sequence[int] = SHIPPED) -> list[int]:
    """The ``features`` in the record of a ``GenesisUNet``, or else ``otherwise``, by default those of ``models/model.pt``."""
    return list(network.get("arguments", {}).get("features", otherwise))
