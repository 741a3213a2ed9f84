"""Genesis pairs (deformed and original cube) from any cubes, with the settings of a pretraining configuration."""

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
    """The dataset of Genesis pairs of the given cubes, with the deformations of ``config_file`` and its overlays.

    ``cubes`` are items with ``image``: (1, X, Y[, Z]) arrays in 0 … 1. ``seed`` is the random seed of the deformations.
    ``settings`` are values by their path in the configuration, such as ``{"deformations::flip::prob": 0}``.
    """
    parser = ConfigParser()
    parser.read_config(config_file)
    parser.update(dict(settings or {}))
    return SeededDataset(cubes, parser.get_parsed_content("train::preprocessing"), seed=seed)
