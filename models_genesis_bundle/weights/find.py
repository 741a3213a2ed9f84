"""Weight files by their path, their folder or their repository on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from models_genesis_bundle.messages import causes
from models_genesis_bundle.weights.checkpoint_file import CheckpointError, optional_package
from models_genesis_bundle.weights.sources import CONFIG_FILE, WEIGHTS_FILE

__all__ = ["find_weights"]

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "model.pt"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
IN_A_BUNDLE = "models/model.pt"
IN_A_RUN = "checkpoints/model.pt"
SUFFIXES = (".pt", ".pth", ".ckpt", ".model", ".h5", ".hdf5", ".safetensors")  # of weight files


def find_weights(source: str | os.PathLike | None = None, revision: str | None = None) -> Path:
    """The weight file of a source.

    Args:
        source: a weight file; a folder with ``model.safetensors``, a bundle's with ``models/model.pt``, or a run's with
            ``checkpoints/model.pt``; a repository of the Hugging Face Hub, as ``owner/name``; None: the weights of this
            bundle, ``models/model.pt``.
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
    except Exception as error:  # the Hub's client also raises those of its HTTP library
        reason = " ".join(str(causes(error)[-1]).split())
        raise CheckpointError(
            f"{repo_id}: there is no such local file or folder, and the repository could not be loaded from the Hugging Face Hub "
            f"({reason})."
        ) from error
