"""Genesis pairs (deformed and original cube) as a pretraining configuration makes them, from any cubes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.sampling.seeded_dataset import SeededDataset
from monai.bundle import ConfigParser


def genesis_pairs(
    cubes: Sequence[dict[str, Any]],
    config_file: str | Sequence[str] = "configs/pretrain.yaml",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> SeededDataset:
    """The dataset of Genesis pairs as ``config_file`` defines it, from the given cubes.

    Args:
        cubes: items with ``image``: (1, X, Y[, Z]) arrays in 0 … 1.
        config_file: a pretraining configuration, or one with its overlays.
        seed: random seed of the draws.
        settings: values by their path in the configuration, such as ``{"deformations::flip::prob": 0}``.
    """
    parser = ConfigParser()
    parser.read_config(config_file)
    parser.update(dict(settings or {}))
    return SeededDataset(cubes, parser.get_parsed_content("train::preprocessing"), seed=seed)
