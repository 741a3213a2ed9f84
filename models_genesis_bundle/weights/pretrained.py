"""Pretrained networks: loading from and saving to files, folders and the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, optional_package
from models_genesis_bundle.weights.initial_weights import InitialWeights
from models_genesis_bundle.weights.key_parts import network_parts
from models_genesis_bundle.weights.model_file import bundle_records, state_on_cpu
from models_genesis_bundle.weights.published import KNOWN
from models_genesis_bundle.weights.sources import CONFIG_FILE, WEIGHTS_FILE, WeightSource, find_weights
from models_genesis_bundle.weights.transfer import transfer_weights
from models_genesis_bundle.weights.transfer_report import TransferReport
from monai.bundle import ConfigComponent

logger = logging.getLogger(__name__)

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


def load_pretrained(
    network_class: type, source: str | os.PathLike | None, revision: str | None, arguments: Mapping[str, Any]
) -> tuple[Any, dict[str, Any] | None]:
    """Build a network from the record in a weight file, and load the weights; see ``GenesisUNet.from_pretrained``.

    ``arguments`` replace recorded ones. From the record of another class, only the arguments that both classes have are used. The
    encoder must fit. A network of the recorded class without new ``arguments`` must fit completely. A warning names new parts.

    Returns:
        The network in evaluation mode, and the record of its preprocessing, if there is one.

    Raises:
        CheckpointError: the source cannot be used.
        TransferError: a required tensor does not fit.
    """
    initial = InitialWeights(find_weights(source, revision), parts="all")
    record = initial.source.network
    accepted = signature(network_class).parameters
    known = {name: value for name, value in record.get("arguments", {}).items() if name in accepted}
    network = network_class(**{**known, **arguments})
    if not arguments and str(record.get("_target_", "")).endswith(f".{network_class.__qualname__}"):
        initial.require = "all"
    initial.load_into(network)
    counts = initial.report.counts() if initial.report else {}
    if new := [
        f"{part} ({found['initial']['tensors']} tensors)" for part, found in counts.items() if "initial" in found
    ]:
        logger.warning("%s: not in the file or of another shape, and therefore new: %s.", initial.path, ", ".join(new))
    return network.eval(), initial.preprocessing


def load_published(path: str | os.PathLike) -> torch.nn.Module:
    """Build the network of a published file, and load all of its weights.

    The tensors show the layout, channels and widths of the network. docs/how-to/published_weights.md lists the files, their
    networks and their licences. The transfer is logged (see ``transfer_weights``). A decoder or head that the file lacks has new
    weights.

    Returns:
        The network in evaluation mode. Its outputs are those of the published network, up to rounding. For CT-FM and nnssl the
        axes of input and output are (X, Y, Z), not (Z, Y, X).

    Raises:
        CheckpointError: the file cannot be read, has no published layout, or lacks a tensor.
    """
    return published_network(path)[0].eval()


def published_network(path: str | os.PathLike) -> tuple[torch.nn.Module, WeightSource, TransferReport]:
    """The network of ``load_published``, but in training mode, the content of the file, and the report of the transfer."""
    initial = _published(path)
    source = initial.source
    network = ConfigComponent({"_target_": source.network["_target_"], **source.network["arguments"]}).instantiate()
    present = [part for part, keys in network_parts(network).items() if not source.state.keys().isdisjoint(keys)]
    return network, source, transfer_weights(network, initial.content, "all", require=present, name=source.name)


def published_records(path: str | os.PathLike) -> dict[str, Any]:
    """The records of a published file, for ``write_weights(target, network, **records)``.

    ``preprocessing`` is that of the training scans (see ``ScanPreprocessing.record``), None if unknown. ``data`` has name, source
    and licence of the file and its training data.

    Raises:
        CheckpointError: the file cannot be read or has no published layout.
    """
    source = _published(path).source
    return {"preprocessing": source.preprocessing, "data": source.data}


def _published(path: str | os.PathLike) -> InitialWeights:
    initial = InitialWeights(path)
    if initial.source.layout is None:
        raise CheckpointError(
            f"{path}: not one of the known published files: {KNOWN}. Its keys begin with "
            f"{', '.join(list(initial.source.state)[:3])}. Load a file of this bundle with load_weights."
        )
    return initial


def save_pretrained(
    network: torch.nn.Module,
    folder: str | os.PathLike,
    preprocessing: Mapping[str, Any] | None = None,
    name: str | None = None,
    license: str = "apache-2.0",
) -> Path:
    """Write ``model.safetensors``, ``config.json`` and ``README.md``, a model card for the Hub, into a folder.

    Args:
        network: a network with a method ``config()``, such as ``GenesisUNet``.
        folder: created if missing.
        preprocessing: record of the preprocessing of scans, see ``ScanPreprocessing.record``.
        name: title of the card; by default the folder's name.
        license: licence of the weights as the Hub names it, such as ``cc-by-4.0``.
    """
    folder = Path(folder)
    scans = None if preprocessing is None else dict(preprocessing)
    state = {key: value.contiguous() for key, value in state_on_cpu(network).items()}
    package = optional_package("safetensors.torch", f"{folder / WEIGHTS_FILE}: writing it", "safetensors")
    with whole_file(folder / WEIGHTS_FILE) as unfinished:
        unfinished.write_bytes(package.save(state, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, {**bundle_records(network), "preprocessing": scans})
    card = CARD.format(name=name or folder.name, network=type(network).__name__, license=license)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def push_to_hub(
    network: torch.nn.Module,
    repo_id: str,
    preprocessing: Mapping[str, Any] | None = None,
    license: str = "apache-2.0",
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload the files of ``save_pretrained`` to the Hugging Face Hub, and return the address of the commit.

    The repository ``owner/name`` is created if missing. By default the token that ``hf auth login`` has stored is used.
    """
    api = optional_package("huggingface_hub", f"{repo_id}: the Hugging Face Hub", "huggingface_hub").HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        save_pretrained(network, folder, preprocessing, repo_id, license)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload weights")
    return str(commit.commit_url)
