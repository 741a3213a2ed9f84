"""The width of the network in a weight file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from models_genesis_bundle.weights.sources import read_source

__all__ = ["recorded_features"]


def recorded_features(path: str | os.PathLike | None, otherwise: Sequence[int]) -> list[int]:
    """Channels by level of the ``GenesisUNet`` in a weight file, so that a configuration builds the network that fits it.

    Args:
        path: a weight file of this bundle or a published one (see ``read_source``); None or ``"none"``: there is none.
        otherwise: what is returned where there is no file, or it does not say: that the file is missed tells who loads it.

    Raises:
        CheckpointError: when the file cannot be read.
    """
    if path is None or not Path(path).is_file():
        return list(otherwise)
    return list(read_source(path).network.get("arguments", {}).get("features", otherwise))
