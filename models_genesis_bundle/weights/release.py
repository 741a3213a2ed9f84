"""Weights in the form in which the bundle ships them."""

from __future__ import annotations

import os
from pathlib import Path

from models_genesis_bundle.weights.checkpoint_file import write_checkpoint
from models_genesis_bundle.weights.checks import FORMAT_VERSION
from models_genesis_bundle.weights.model_file import read_weights

__all__ = ["release_weights"]


def release_weights(source: str | os.PathLike, output: str | os.PathLike, licence: str) -> Path:
    """Write a run's weight file with the licence of the weights.

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
    state = content.pop("model")
    return write_checkpoint(state, output, {**content, "format_version": FORMAT_VERSION, "licence": licence})
