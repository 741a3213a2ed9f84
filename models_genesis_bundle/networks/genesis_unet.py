"""The 3D U-Net of Models Genesis, and its encoder, which the classifier also uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from models_genesis_bundle.networks.pretrained import Pretrained, plain
from monai.networks.layers.factories import Conv, Pool
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from monai.utils import ensure_tuple
from torch import nn

UPSAMPLINGS = ("deconv", "nearest")


class ConvUnit(nn.Sequential):
    """A 3×3×3 convolution with bias, a normalisation and an activation; the sides do not change."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm: Any, act: Any) -> None:
        super().__init__()
        self.add_module("conv", Conv[Conv.CONV, spatial_dims](in_channels, out_channels, kernel_size=3, padding=1))
        self.add_module("norm", get_norm_layer(norm, spatial_dims, out_channels))
        self.add_module("act", get_act_layer(act))


class Encoder(nn.Module):
    """Stages of two convolutions with max pooling between the stages. The first convolution has half the stage's width."""

    def __init__(self, spatial_dims: int, in_channels: int, features: Sequence[int], norm: Any, act: Any) -> None:
        super().__init__()
        if len(features) < 2 or any(width < 2 or width % 2 for width in features):
            raise ValueError(f"features: expected two or more even widths above 0, found {features}.")
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvUnit(spatial_dims, before, width // 2, norm, act),
                ConvUnit(spatial_dims, width // 2, width, norm, act),
            )
            for before, width in zip([in_channels, *features], features, strict=False)
        )
        self.pool = Pool[Pool.MAX, spatial_dims](kernel_size=2)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps of all stages, finest first."""
        pyramid: list[torch.Tensor] = []
        for depth, stage in enumerate(self.stages):
            x = stage(x if depth == 0 else self.pool(x))
            pyramid.append(x)
        return pyramid


class DecoderStage(nn.Module):
    """Upsamples by 2, concatenates ``[upsampled, skip]``, and convolves twice to the width of the skip connection."""

    def __init__(self, spatial_dims: int, deep: int, width: int, upsample: str, norm: Any, act: Any) -> None:
        super().__init__()
        self.up: nn.Module
        if upsample == "deconv":
            self.up = Conv[Conv.CONVTRANS, spatial_dims](deep, deep, kernel_size=2, stride=2)
        else:
            self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.convs = nn.Sequential(
            ConvUnit(spatial_dims, deep + width, width, norm, act), ConvUnit(spatial_dims, width, width, norm, act)
        )

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """From the deeper map ``x`` (B, deep, X, Y, Z) and ``skip`` (B, width, 2X, 2Y, 2Z) to (B, width, 2X, 2Y, 2Z)."""
        return self.convs(torch.cat([self.up(x), skip], dim=1))


class Decoder(nn.Module):
    """A stage for each skip connection, deepest first."""

    def __init__(self, spatial_dims: int, features: Sequence[int], upsample: str, norm: Any, act: Any) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            DecoderStage(spatial_dims, deep, width, upsample, norm, act)
            for deep, width in zip(features[:0:-1], features[-2::-1], strict=True)
        )

    def forward(self, pyramid: list[torch.Tensor]) -> torch.Tensor:
        """The finest decoded map of the feature maps, which are finest first."""
        x = pyramid[-1]
        for depth, stage in enumerate(self.stages):
            x = stage(x, pyramid[len(pyramid) - 2 - depth])
        return x


class GenesisUNet(nn.Module, Pretrained):
    """The 3D U-Net of Models Genesis. With the default arguments it is the published network with 19.07 M parameters.

    Four encoder stages of two 3×3×3 convolutions (32→64, 64→128, 128→256, 256→512), each with batch normalisation and ReLU, max
    pooling between the stages; three decoder stages that upsample, concatenate the skip connection and convolve twice to its
    width; a 1×1×1 convolution; a sigmoid.

    The published code also uses batch statistics in evaluation: ``norm=("batch", {"track_running_stats": False})``.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output: 1 for restoration, the number of classes for segmentation.
        features: width of each stage, finest first, all even.
        norm: normalisation, see MONAI's ``get_norm_layer``: ``"batch"``, ``("instance", {"affine": True})``, ….
        act: activation, see MONAI's ``get_act_layer``.
        upsample: ``"deconv"`` (transposed convolution, the published PyTorch network) or ``"nearest"`` (the Keras one).
        output_activation: activation of the output, or None for logits.

    Shape:
        Input (B, in_channels, X, Y[, Z]), sides divisible by ``2 ** (len(features) - 1)``, 8 by default; output (B, out_channels,
        X, Y[, Z]), in (0, 1) with the sigmoid.

    Raises:
        ValueError: for invalid arguments, and for inputs whose sides are not divisible as above.

    Based on: Zhou et al., "Models Genesis: Generic Autodidactic Models for 3D Medical Image Analysis", MICCAI 2019,
        doi:10.1007/978-3-030-32251-9_42; "Models Genesis", Medical Image Analysis 67, 2021, 101840.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> network = GenesisUNet(features=(4, 8, 16))
        >>> network(torch.rand(2, 1, 16, 16, 8)).shape
        torch.Size([2, 1, 16, 16, 8])
        >>> [tuple(feature.shape[1:]) for feature in network.encode(torch.rand(2, 1, 16, 16, 8))]
        [(4, 16, 16, 8), (8, 8, 8, 4), (16, 4, 4, 2)]
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        features: Sequence[int] = (64, 128, 256, 512),
        norm: str | Sequence[Any] = "batch",
        act: str | Sequence[Any] = "relu",
        upsample: str = "deconv",
        output_activation: str | Sequence[Any] | None = "sigmoid",
    ) -> None:
        super().__init__()
        features = [int(width) for width in ensure_tuple(features)]
        if spatial_dims not in (2, 3):
            raise ValueError(f"GenesisUNet: spatial_dims must be 2 or 3, got {spatial_dims!r}.")
        if in_channels < 1 or out_channels < 1:
            raise ValueError(
                f"GenesisUNet: in_channels and out_channels must be above 0, got {in_channels} and {out_channels}."
            )
        if upsample not in UPSAMPLINGS:
            raise ValueError(f"GenesisUNet: upsample must be one of {', '.join(UPSAMPLINGS)}, got {upsample!r}.")
        self.divisor = 2 ** (len(features) - 1)
        self._config = {
            "spatial_dims": int(spatial_dims),
            "in_channels": int(in_channels),
            "out_channels": int(out_channels),
            "features": features,
            "norm": plain(norm),
            "act": plain(act),
            "upsample": upsample,
            "output_activation": plain(output_activation),
        }
        self.encoder = Encoder(spatial_dims, in_channels, features, norm, act)
        self.decoder = Decoder(spatial_dims, features, upsample, norm, act)
        self.head = Conv[Conv.CONV, spatial_dims](features[0], out_channels, kernel_size=1)
        activation = ("softmax", {"dim": 1}) if output_activation == "softmax" else output_activation
        self.output_activation = nn.Identity() if activation is None else get_act_layer(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Restore, or segment, ``x`` of shape (B, C, X, Y[, Z])."""
        return self.output_activation(self.head(self.decoder(self.encode(x))))

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the encoder's stages, finest first: (B, features[i], X / 2**i, Y / 2**i[, Z / 2**i])."""
        for side in x.shape[2:]:
            if side % self.divisor != 0:
                raise ValueError(
                    f"GenesisUNet: every side must be divisible by {self.divisor}, got the sides {x.shape[2:]}; "
                    "pad or crop the input, for example with MONAI's DivisiblePad."
                )
        return self.encoder(x)
