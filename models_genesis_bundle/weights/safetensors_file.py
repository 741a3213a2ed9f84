"""Weights as safetensors, with their records in a JSON file next to them: the form of the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from monai.utils import optional_import

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "read_safetensors", "write_safetensors"]

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"


def write_safetensors(folder: Path, state: Mapping[str, torch.Tensor], records: Mapping[str, Any]) -> Path:
    """Write ``model.safetensors`` and ``config.json`` into a folder, each whole or not at all.

    Args:
        folder: made when it is not there.
        state: the tensors by key, each with memory of its own.
        records: plain values.

    Returns:
        The path of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    with whole_file(folder / WEIGHTS_FILE) as unfinished:
        unfinished.write_bytes(_safetensors().save(contiguous, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, dict(records))
    return folder / WEIGHTS_FILE


def read_safetensors(path: Path) -> dict[str, Any]:
    """What a file of ``write_safetensors`` holds: the records, and the tensors under ``model``.

    A file without a ``config.json`` next to it has no records.

    Raises:
        CheckpointError: when one of the two files is damaged, or the package ``safetensors`` is missing.
    """
    config = path.with_name(CONFIG_FILE)
    try:
        state = _safetensors().load_file(path)
    except Exception as error:  # a damaged file raises what the package's own library defines
        if isinstance(error, CheckpointError):
            raise
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
