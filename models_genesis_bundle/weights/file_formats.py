"""The formats of weight files: PyTorch, safetensors with the records in a JSON file, as on the Hugging Face Hub, and Keras."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, read_checkpoint
from monai.utils import optional_import

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "read_weight_file", "write_safetensors"]

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


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


def write_safetensors(folder: Path, state: Mapping[str, torch.Tensor], records: Mapping[str, Any]) -> None:
    """Write ``model.safetensors`` and ``config.json``, which holds the records, into a folder, each whole or not at all."""
    contiguous = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    with whole_file(folder / WEIGHTS_FILE) as unfinished:
        unfinished.write_bytes(_safetensors().save(contiguous, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, dict(records))


def _read_safetensors(path: Path) -> dict[str, Any]:
    """The records, none without a ``config.json`` in the folder, and the tensors under ``model``."""
    config, safetensors = path.with_name(CONFIG_FILE), _safetensors()
    try:
        state = safetensors.load_file(path)
    except Exception as error:  # a damaged file raises what the package's own library defines
        raise CheckpointError(f"{path}: no safetensors file, or a damaged one ({error}). Download it again.") from error
    try:
        records = json.loads(config.read_text()) if config.exists() else {}
    except ValueError as error:
        raise CheckpointError(f"{config}: no JSON ({error}). Download it again.") from error
    if not isinstance(records, dict):
        raise CheckpointError(f"{config}: expected the records of {path.name} by name, found {type(records).__name__}.")
    return {**records, "model": state}


def _safetensors() -> Any:
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
