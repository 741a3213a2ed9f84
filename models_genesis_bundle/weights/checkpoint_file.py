"""Checkpoint files: written whole or not at all, read with an error that says what is wrong."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from models_genesis_bundle.files import whole_file

__all__ = ["CheckpointError", "read_checkpoint", "write_checkpoint"]

# What pickle needs to build NumPy's numbers again, which many trainers leave in their checkpoints. NumPy 1 and 2 call the
# function that builds them by different names.
_BUILD_NUMBER = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS = [
    (_BUILD_NUMBER, "numpy.core.multiarray.scalar"),
    (_BUILD_NUMBER, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"},
]


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, read or used; the message names the file and what to do."""


def write_checkpoint(
    content: Mapping[str, Any], path: str | os.PathLike, records: Mapping[str, Any] | None = None
) -> Path:
    """Write ``content`` to ``path`` so that the path holds either the old file or the whole new one.

    The same content gives the same bytes, whatever the file is called.

    Args:
        content: tensors and plain Python values only, so that ``torch.load(weights_only=True)`` reads them.
        path: the checkpoint; its folder is made when it is not there.
        records: for a state dict as ``content``: plain values that say what it is of. The file holds a plain state dict, which
            any program loads, with these as its attribute ``records``.

    Returns:
        The path.

    Raises:
        CheckpointError: when the file could not be written.
    """
    path = Path(path)
    written: dict[str, Any] = dict(content)
    if records is not None:
        written = OrderedDict(content)  # a plain dict has no attributes
        vars(written).update(records=dict(records))
    try:
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            torch.save(written, file)  # given a path, torch writes its name into the file
    except (OSError, RuntimeError) as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        kept = "the previous checkpoint there is kept" if path.exists() else "no checkpoint was there before"
        raise CheckpointError(
            f"{path}: the checkpoint could not be written ({error}); {free:.0f} MiB are free in its folder, and {kept}. "
            "Free some space or choose another folder, then continue with `--resume true`."
        ) from error
    return path


def read_checkpoint(
    path: str | os.PathLike, map_location: str | torch.device = "cpu", also: Sequence[Any] = ()
) -> dict[str, Any]:
    """Read a checkpoint without running any code that it might hold (``weights_only=True``), and compare its checksums.

    Besides what PyTorch lets pass, single numbers of NumPy are read; its arrays are not. The form that PyTorch wrote before
    version 1.6, which is no zip file, has no checksums.

    Args:
        path: the file.
        map_location: where its tensors go.
        also: what else may be read, as ``torch.serialization.safe_globals`` takes it.

    Returns:
        The mapping that it holds; of a state dict with records (see ``write_checkpoint``) these, and the state under ``model``.

    Raises:
        CheckpointError: when the file is not there, truncated, damaged, not a mapping, or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint.")
    try:
        with path.open("rb") as file, torch.serialization.safe_globals([*NUMPY_NUMBERS, *also]):
            _compare_checksums(file)
            content = torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: refused, because {_refusal(error)}") from error
    except Exception as error:  # a damaged or foreign file makes torch raise almost anything
        raise CheckpointError(
            f"{path}: the checkpoint is truncated or damaged ({path.stat().st_size} bytes; {error}), or the file is of another "
            "kind. Copy it again, or use an earlier one."
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a mapping of names to tensors, found {type(content).__name__}.")
    records = getattr(content, "records", None)
    if isinstance(records, Mapping):
        return {**records, "model": dict(content)}
    return dict(content)


def _compare_checksums(file: BinaryIO) -> None:
    """Read a zip file's records once, since torch.load does not look at their checksums."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            has_checksums = any(record.CRC for record in archive.infolist())  # torch can be told to write none
            if has_checksums and (record := archive.testzip()):
                raise zipfile.BadZipFile(f"the checksum of {record} is wrong")
    file.seek(0)


def _refusal(error: pickle.UnpicklingError) -> str:
    """What PyTorch's message says, without its advice to read the file all the same."""
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if wanted is None:
        return "it is no PyTorch checkpoint, or is damaged. Copy it again, or use another one."
    return (
        f"it wants {wanted[1]} to be run, and only tensors and plain values are read. Where the file is trusted, load it with "
        "the program that wrote it, and save the state dict alone."
    )
