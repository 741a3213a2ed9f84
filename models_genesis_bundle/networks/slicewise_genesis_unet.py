"""The 2D network of Models Genesis on volumes: what 3D pretraining is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models_genesis_bundle.networks.by_slice import by_slice
from models_genesis_bundle.networks.genesis_unet import GenesisUNet

__all__ = ["SlicewiseGenesisUNet"]


class SlicewiseGenesisUNet(GenesisUNet):
    """``GenesisUNet(spatial_dims=2)``, run on every slice of a volume along Z on its own.

    Its keys are those of the 2D network, so that 2D pretraining's weights go over one to one.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        features: width of each stage, finest first, all even.
        norm: normalisation, as MONAI's ``get_norm_layer`` takes it.
        act: activation, as MONAI's ``get_act_layer`` takes it.
        upsample: ``"deconv"`` or ``"nearest"``.
        output_activation: activation of the output, or None for logits.

    Shape:
        Input (B, in_channels, X, Y, Z), X and Y divisible by ``2 ** (len(features) - 1)``, 8 by default, Z any; output
        (B, out_channels, X, Y, Z).

    Raises:
        ValueError: as ``GenesisUNet``, and for inputs that are no volumes.

    Examples:
        >>> from models_genesis_bundle.networks import SlicewiseGenesisUNet
        >>> SlicewiseGenesisUNet(out_channels=2, features=(4, 8))(torch.rand(1, 1, 16, 16, 5)).shape
        torch.Size([1, 2, 16, 16, 5])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        features: Sequence[int] = (64, 128, 256, 512),
        norm: str | Sequence[Any] = "batch",
        act: str | Sequence[Any] = "relu",
        upsample: str = "deconv",
        output_activation: str | Sequence[Any] | None = "sigmoid",
    ) -> None:
        super().__init__(2, in_channels, out_channels, features, norm, act, upsample, output_activation)
        del self._config["spatial_dims"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Restore, or segment, ``x`` of shape (B, C, X, Y, Z)."""
        return by_slice(super().forward, x)
