"""A network as one that turns cubes into vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from models_genesis_bundle.networks import StageMaps
from torch import nn

__all__ = ["Embedder", "pool"]

POOLINGS = ("mean", "max")


def pool(values: torch.Tensor, pooling: str, dim: int) -> torch.Tensor:
    """The mean or the maximum of values along an axis.

    Raises:
        ValueError: for another pooling than ``mean`` and ``max``.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, found {pooling!r}.")
    return values.mean(dim) if pooling == "mean" else values.amax(dim)


class Embedder(nn.Module):
    """The pooled map of one stage of a network's encoder: a vector for each cube.

    Args:
        network: any network that ``StageMaps`` knows.
        stage: which stage's map, 1 for the finest; None for the deepest.
        pooling: over the voxels of the map, ``"mean"`` or ``"max"``.
        parts: names of the modules that make the encoder, see ``StageMaps``; None: as known.

    Shape:
        Input (B, C, X, Y[, Z]); output (B, channels of the stage).

    Raises:
        ValueError: for a stage that the encoder does not have, another pooling, or a network whose encoder is not known.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> Embedder(GenesisUNet(features=(4, 8)), stage=1)(torch.zeros(2, 1, 16, 16, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, network: nn.Module, stage: int | None = None, pooling: str = "mean", parts: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        if stage is not None and stage < 1:
            raise ValueError(f"stage: expected 1 (the finest) or more, or null for the deepest, found {stage}.")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, found {pooling!r}.")
        self.maps = StageMaps(network, parts)
        self.stage = stage
        self.pooling = pooling

    def stage_map(self, x: torch.Tensor) -> torch.Tensor:
        """The map that is pooled: (B, channels of the stage, X', Y'[, Z'])."""
        maps = self.maps(x)
        if self.stage is not None and self.stage > len(maps):
            raise ValueError(f"stage: the encoder has the stages 1 … {len(maps)}, found {self.stage}.")
        return (maps[-1] if self.stage is None else maps[self.stage - 1]).float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The vectors of ``x``."""
        return pool(self.stage_map(x).flatten(2), self.pooling, 2)
