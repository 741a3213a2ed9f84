"""Checkpoint files: atomic writing, and reading with checks of the file, its records and its weights."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from models_genesis_bundle.files import whole_file
from models_genesis_bundle.weights.key_parts import WRAPPER_PREFIXES, wrapper_prefix
from monai.bundle import ConfigComponent
from monai.utils import optional_import

FORMAT_VERSION = 2  # 1: a mapping with the state dict under `model`; 2: a state dict with the attribute `records`

# Types of NumPy numbers, which many checkpoints contain. NumPy 1 and 2 use different names for their constructor.
_BUILD_NUMBER = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS = [
    (_BUILD_NUMBER, "numpy.core.multiarray.scalar"),
    (_BUILD_NUMBER, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"},
]

CLASS_NAME = re.compile(r"[\w.<>]+")  # <locals> is in the name of a class that a function defines
EVALUATED = ("$", "@", "%")  # first characters of MONAI's expressions, references and files


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, read or used; the message names the file and what to do."""


class TargetError(CheckpointError):
    """The weights of a network cannot be written in the form that was asked for; the message says why and what to do."""


def optional_package(name: str, purpose: str, install: str) -> Any:
    """Import an optional package; if it is missing, a ``CheckpointError`` says how to install it."""
    package, available = optional_import(name)
    if not available:
        raise CheckpointError(f"{purpose} needs the package {name.partition('.')[0]}: `pip install {install}`.")
    return package


def write_checkpoint(
    content: Mapping[str, Any], path: str | os.PathLike, records: Mapping[str, Any] | None = None
) -> Path:
    """Write ``content`` to ``path`` atomically: an interrupted write leaves the old file.

    Args:
        content: tensors and plain Python values only, so that ``torch.load(weights_only=True)`` reads them.
        path: the checkpoint; its folder is created if missing.
        records: plain values that describe the state dict in ``content``; the saved state dict has them as ``records``.

    Raises:
        CheckpointError: the file could not be written.
    """
    path = Path(path)
    written: dict[str, Any] = dict(content)
    if records is not None:
        written = OrderedDict(content)  # a plain dict has no attributes
        vars(written).update(records=dict(records))
    try:
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            torch.save(written, file)  # torch would save the name of a path
    except (OSError, RuntimeError) as error:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        free = shutil.disk_usage(folder).free / 2**20
        kept = "the previous checkpoint there is kept" if path.exists() else "no checkpoint was there before"
        raise CheckpointError(
            f"{path}: the checkpoint could not be written ({error}); {free:.0f} MiB are free in {folder}, and {kept}. "
            "Free some space or choose another folder, then continue with `--resume true`."
        ) from error
    return path


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint without running code from it (``weights_only=True``), and compare its checksums.

    Single NumPy numbers are also read, but NumPy arrays are not.

    Returns:
        The mapping in the file. A state dict with records becomes a mapping of the records and, under ``model``, the state dict.

    Raises:
        CheckpointError: the file is missing, truncated, damaged, not a mapping, or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint. It was looked for in {path.absolute().parent}.")
    try:
        with path.open("rb") as file, torch.serialization.safe_globals(NUMPY_NUMBERS):
            _compare_checksums(file)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # PyTorch's message advises to load the file anyway
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it is not a PyTorch checkpoint{_found_instead(path)}, or it is damaged. Copy it again, or use another one."
        if wanted is not None:
            reason = (
                f"loading it would run {wanted[1]}; only tensors and plain values are read. If you trust the file, load it "
                "with the program that wrote it, and save only the state dict."
            )
        raise CheckpointError(f"{path}: refused, because {reason}") from error
    except Exception as error:  # torch raises almost any error for a damaged or foreign file
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path}: expected a checkpoint, found a TorchScript program. Save its weights as a file: "
                "torch.save(torch.jit.load(PROGRAM).state_dict(), FILE)."
            ) from error
        raise CheckpointError(
            f"{path}: the checkpoint is truncated or damaged ({path.stat().st_size} bytes; {error}), or the file is of another "
            "kind. Copy it again, or use an earlier one."
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a mapping of names to tensors, found {type(content).__name__}.")
    records = getattr(content, "records", None)
    return {**records, "model": dict(content)} if isinstance(records, Mapping) else dict(content)


def _found_instead(path: Path) -> str:
    """Describe a text file that a failed download left instead of a checkpoint; empty for other files."""
    with path.open("rb") as file:
        beginning = file.read(100).lstrip()
    if beginning.startswith(b"version https://git-lfs"):
        return " but Git LFS's pointer to it (`git lfs pull` downloads it)"
    return " but a web page" if beginning.startswith(b"<") else ""


def _compare_checksums(file: BinaryIO) -> None:
    """Compare the checksums of a zip file, because torch.load does not."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            has_checksums = any(record.CRC for record in archive.infolist())  # torch can save without checksums
            if has_checksums and (record := archive.testzip()):
                raise zipfile.BadZipFile(f"the checksum of {record} is wrong")
    file.seek(0)


def checked_state(
    records: Mapping[str, Any],
    state: Mapping[str, Any],
    name: str | os.PathLike,
    prefixes: Sequence[str] = WRAPPER_PREFIXES,
    own_keys: Collection[str] = (),
) -> tuple[dict[str, torch.Tensor], str]:
    """Check the records and weights of a checkpoint; return its tensors without the prefix of wrappers, and this prefix.

    ``own_keys`` are the keys of the network to load into: a prefix that all of them have is not removed.
    """
    version = records.get("format_version", 0)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: written in format {version}, but this bundle reads formats up to {FORMAT_VERSION}. Update the bundle."
        )
    require_data(records, name)
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    prefix = wrapper_prefix(tensors, prefixes, own_keys)
    tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    require_finite(tensors, name)
    return tensors, prefix


def require_data(records: Mapping[str, Any], name: str | os.PathLike) -> None:
    """Refuse records that MONAI would run as code inside a configuration: expressions, references and components.

    Two records are exempt: the class of the network, which is never imported, and ``initial_weights``, which is never read.
    """
    network = records.get("network", {})
    if not isinstance(network, Mapping) or not isinstance(network.get("arguments", {}), Mapping):
        raise CheckpointError(
            f"{name}: expected the record network to be a mapping with arguments, found {network!r:.80}."
        )
    target = network.get("_target_", "unknown")
    if not isinstance(target, str) or CLASS_NAME.fullmatch(target) is None:
        raise CheckpointError(f"{name}: expected a class as network._target_, found {target!r:.80}.")
    checked = {key: value for key, value in records.items() if key != "initial_weights"}
    checked["network"] = {key: value for key, value in network.items() if key != "_target_"}
    pending, seen = list(checked.items()), set()
    while pending:
        place, value = pending.pop()
        found = value if isinstance(value, str) and value.startswith(EVALUATED) else None
        if isinstance(value, Mapping | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            entries = value if isinstance(value, Mapping) else dict(enumerate(value))
            found = min(ConfigComponent.non_arg_keys.intersection(entries), default=None)
            pending += [(f"{place}.{key}", one) for key, one in entries.items()]
        if found is not None:
            raise CheckpointError(
                f"{name}: refused, because its record {place} holds {found!r:.80}, which MONAI would run as code. Records must be "
                "plain values. Get the file from a source that you trust."
            )


def require_finite(state: Mapping[str, torch.Tensor], name: str | os.PathLike) -> None:
    """Refuse weights that are NaN, infinite or not dense real numbers; ``name`` is for the message."""
    for key, value in state.items():
        kind = "complex" if value.is_complex() else "quantised" if value.is_quantized else str(value.layout)[6:]
        if kind != "strided":
            raise CheckpointError(f"{name}: {key} is {kind}. Only dense tensors of real numbers can be loaded.")
    spoilt = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if spoilt:
        raise CheckpointError(
            f"{name}: {len(spoilt)} tensors hold NaN or infinite values, first {spoilt[0]}. Nothing is loaded or written. The run "
            "has diverged; use an earlier checkpoint."
        )
