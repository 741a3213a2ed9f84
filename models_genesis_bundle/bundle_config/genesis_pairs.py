"""The pairs of a pretraining configuration, over any cubes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models_genesis_bundle.data.sampling.seeded_dataset import SeededDataset
from monai.bundle import ConfigParser

__all__ = ["genesis_pairs"]


def genesis_pairs(
    cubes: Sequence[dict[str, Any]], config_file: str | Sequence[str] = "configs/pretrain.yaml", seed: int = 0
) -> SeededDataset:
    """The data set of Genesis pairs that ``config_file`` declares, over other cubes.

    Args:
        cubes: items with ``image``: (1, X, Y, Z) arrays in 0 … 1.
        config_file: a pretraining configuration, or one with its overlays.
        seed: start of the draws.
    """
    parser = ConfigParser()
    parser.read_config(config_file)
    return SeededDataset(cubes, parser.get_parsed_content("train::preprocessing"), seed=seed)
