"""Networks with pretrained weights: loaded from, and written to, a file, a folder or the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.messages import causes
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.initial_weights import InitialWeights
from models_genesis_bundle.weights.model_file import bundle_records, state_on_cpu
from models_genesis_bundle.weights.sources import CONFIG_FILE, WEIGHTS_FILE, safetensors
from monai.utils import optional_import

__all__ = ["SHIPPED_WEIGHTS", "find_weights", "load_pretrained", "push_to_hub", "save_pretrained"]

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "model.pt"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
IN_A_BUNDLE = "models/model.pt"
SUFFIXES = (".pt", ".pth", ".ckpt", ".model", ".h5", ".hdf5", ".safetensors")  # of weight files

CARD = """\
---
library_name: monai
license: {license}
tags:
- medical-imaging
- self-supervised-learning
- models-genesis
---

# {name}

Weights of a `{network}` of the Models Genesis bundle. It loads with

```python
from models_genesis_bundle.networks import {network}

network = {network}.from_pretrained("{name}")
```

`network.preprocessing()` reads and scales a scan as in pretraining; `config.json` holds the settings. For research only.
"""


def find_weights(source: str | os.PathLike | None = None, revision: str | None = None) -> Path:
    """The weight file of a source.

    Args:
        source: a weight file; a folder with ``model.safetensors``, or a bundle's with ``models/model.pt``; a repository of the
            Hugging Face Hub, as ``owner/name``; None: the weights that ship with the bundle.
        revision: branch, tag or commit of a repository; None: its newest.

    Raises:
        CheckpointError: the source has no weight file; the message names the expected forms.
    """
    if source is None:
        if not SHIPPED_WEIGHTS.is_file():
            raise CheckpointError(
                f"{SHIPPED_WEIGHTS}: not found. The weights that ship are in the bundle's folder, and this package is not "
                "installed from there. Give a weight file, a folder, or a repository of the Hugging Face Hub."
            )
        return SHIPPED_WEIGHTS
    path = Path(source)
    if path.is_file():
        return path
    is_repository = isinstance(source, str) and REPOSITORY.fullmatch(source) and path.suffix not in SUFFIXES
    if is_repository and not path.is_dir():
        path = _downloaded(str(source), revision)
    for name in (WEIGHTS_FILE, IN_A_BUNDLE):
        if (path / name).is_file():
            return path / name
    raise CheckpointError(
        f"{source}: expected a weight file, a folder with {WEIGHTS_FILE} or {IN_A_BUNDLE}, or a repository of the Hugging Face "
        f"Hub (owner/name), found {'none of these files in it' if path.is_dir() else 'nothing of that name'}."
    )


def load_pretrained(
    network_class: type, source: str | os.PathLike | None, revision: str | None, arguments: Mapping[str, Any]
) -> tuple[Any, dict[str, Any] | None]:
    """Build a network of a class from the weights' record of it, and load them, as ``GenesisUNet.from_pretrained`` does.

    From a record of another class, the arguments that both classes have are taken. ``arguments`` replace recorded ones; parts
    that get other shapes stay new, but the encoder must fit.

    Returns:
        The network in evaluation mode, and the record of its preprocessing, if there is one.

    Raises:
        CheckpointError: the source cannot be used.
        TransferError: the encoder does not fit, or without ``arguments`` any part of a network of the same class.
    """
    path = find_weights(source, revision)
    initial = InitialWeights(path, parts="all")
    record = initial.source.network
    taken = signature(network_class).parameters
    known = {name: value for name, value in record.get("arguments", {}).items() if name in taken}
    network = network_class(**{**known, **arguments})
    same_class = str(record.get("_target_", "")).endswith(f".{network_class.__qualname__}")
    if same_class and not arguments:
        initial.require = "all"
    initial.load_into(network)
    return network.eval(), initial.preprocessing


def save_pretrained(
    network: torch.nn.Module,
    folder: str | os.PathLike,
    preprocessing: Mapping[str, Any] | None = None,
    name: str | None = None,
    license: str = "apache-2.0",
) -> Path:
    """Write ``model.safetensors``, ``config.json`` and ``README.md``, a model card with the Hub's metadata, into a folder.

    Args:
        network: with a method ``config()``, as ``GenesisUNet`` has.
        folder: created if missing.
        preprocessing: of its scans, see ``ScanPreprocessing.record``.
        name: title of the card; by default the folder's name.
        license: of the weights, by the Hub's identifier, such as ``cc-by-4.0``.
    """
    folder = Path(folder)
    scans = None if preprocessing is None else dict(preprocessing)
    state = {key: value.contiguous() for key, value in state_on_cpu(network).items()}
    with whole_file(folder / WEIGHTS_FILE) as unfinished:
        unfinished.write_bytes(safetensors().save(state, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, {**bundle_records(network), "preprocessing": scans})
    card = CARD.format(name=name or folder.name, network=type(network).__name__, license=license)
    (folder / "README.md").write_text(card)
    return folder


def push_to_hub(
    network: torch.nn.Module,
    repo_id: str,
    preprocessing: Mapping[str, Any] | None = None,
    license: str = "apache-2.0",
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload the files of ``save_pretrained`` to a repository ``owner/name`` of the Hugging Face Hub, created if missing.

    Without ``token``, the one that ``hf auth login`` has stored is used. Returns the address of the commit.
    """
    api = _hub().HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        save_pretrained(network, folder, preprocessing, repo_id, license)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload weights")
    return str(commit.commit_url)


def _downloaded(repo_id: str, revision: str | None) -> Path:
    """The folder with a repository's weights in the Hub's cache."""
    hub = _hub()
    try:
        return Path(
            hub.snapshot_download(repo_id, revision=revision, allow_patterns=[WEIGHTS_FILE, CONFIG_FILE, IN_A_BUNDLE])
        )
    except Exception as error:  # the Hub's client also raises those of its HTTP library
        reason = " ".join(str(causes(error)[-1]).split())
        raise CheckpointError(
            f"{repo_id}: there is no such file or folder here, and the repository could not be loaded from the Hugging Face Hub "
            f"({reason})."
        ) from error


def _hub() -> Any:
    module, available = optional_import("huggingface_hub")
    if not available:
        raise CheckpointError("The package huggingface_hub is needed for the Hub: pip install huggingface_hub.")
    return module
