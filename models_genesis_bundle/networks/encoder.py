"""The encoder that pretraining, segmentation and classification share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.layers.factories import Conv, Pool
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from torch import nn

__all__ = ["ConvUnit", "Encoder", "keys_by_part", "require_stage_widths"]


class ConvUnit(nn.Sequential):
    """A convolution of kernel 3 with bias, a normalisation, an activation; the sides do not change."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm: Any, act: Any) -> None:
        super().__init__()
        self.add_module("conv", Conv[Conv.CONV, spatial_dims](in_channels, out_channels, kernel_size=3, padding=1))
        self.add_module("norm", get_norm_layer(norm, spatial_dims, out_channels))
        self.add_module("act", get_act_layer(act))


class Encoder(nn.Module):
    """Stages of two convolutions, the first to half of the stage's width, the second to all of it; poolings between them."""

    def __init__(self, spatial_dims: int, in_channels: int, features: Sequence[int], norm: Any, act: Any) -> None:
        super().__init__()
        widths = [in_channels, *features]
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvUnit(spatial_dims, before, width // 2, norm, act),
                ConvUnit(spatial_dims, width // 2, width, norm, act),
            )
            for before, width in zip(widths, features, strict=False)
        )
        self.pool = Pool[Pool.MAX, spatial_dims](kernel_size=2)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps of all stages, finest first."""
        pyramid: list[torch.Tensor] = []
        for depth, stage in enumerate(self.stages):
            x = stage(x if depth == 0 else self.pool(x))
            pyramid.append(x)
        return pyramid


def require_stage_widths(features: Sequence[int], network: str) -> None:
    """Refuse widths that cannot be halved for the first convolution of a stage.

    Raises:
        ValueError: naming the network.
    """
    if len(features) < 2 or any(width < 2 or width % 2 for width in features):
        raise ValueError(f"{network}: features must be two or more even widths above 0, got {features}.")


def keys_by_part(network: nn.Module) -> dict[str, list[str]]:
    """The keys of the state dict below ``encoder.``, ``decoder.`` and ``head.``."""
    keys = list(network.state_dict())
    return {part: [key for key in keys if key.startswith(f"{part}.")] for part in ("encoder", "decoder", "head")}
