"""Weights in the form in which the bundle ships them."""

from __future__ import annotations

import os
from pathlib import Path

from models_genesis_bundle.weights.checkpoint_file import write_checkpoint
from models_genesis_bundle.weights.model_file import read_weights

__all__ = ["release_weights"]


def release_weights(source: str | os.PathLike, output: str | os.PathLike, licence: str) -> Path:
    """Write a run's weight file as one that MONAI's own commands read, too.

    ``monai.bundle.load`` expects a flat state dict and, not told the key of a nested one, loads nothing without an error. So
    the tensors stand in the file a second time, flat beside ``model``; both share their storage, and the file does not grow.

    Args:
        source: a weight file of this bundle.
        output: the file to write.
        licence: of the weights, as an SPDX expression; kept in the file.

    Returns:
        ``output``.

    Raises:
        CheckpointError: when the source is no weight file, or the output could not be written.
    """
    content = read_weights(source)
    return write_checkpoint({**content, "licence": licence, **content["model"]}, output)
