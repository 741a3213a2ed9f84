"""A classification network with a pretrained encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from models_genesis_bundle.networks.genesis_unet import Encoder
from models_genesis_bundle.networks.pretrained import Pretrained, plain
from monai.utils import ensure_tuple
from torch import nn


class GenesisClassifier(nn.Module, Pretrained):
    """Classification network: an encoder, global average pooling, a dense layer with ReLU, and a dense layer for the classes.

    The default encoder is that of ``GenesisUNet``, with the same keys ``encoder.*``, so that its pretrained weights fit. The keys
    of the dense layers are ``head.*``. Another encoder must return a feature map, or a list of feature maps with the deepest
    last; ``config()`` has the name of its class. An encoder of MONAI in a configuration:

        network_def:
          _target_: models_genesis_bundle.networks.GenesisClassifier
          encoder: {_target_: monai.networks.nets.segresnet_ds.SegResEncoder, init_filters: 32}
          features: [128, 256] # only the last number counts

    Args:
        num_classes: number of classes, at least 2.
        encoder: None for that of ``GenesisUNet``, or a module from (B, in_channels, X, Y[, Z]) to one or more maps (B, C, x, y[,
            z]). See ``encoder_of`` for networks without an encoder module.
        hidden: width of the first dense layer.
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        features: width of each stage, finest first, all even. With another encoder only the last counts: its deepest channels.
        norm: normalisation of the encoder, see MONAI's ``get_norm_layer``.
        act: activation of the encoder, see MONAI's ``get_act_layer``.
        dropout: fraction of the hidden layer's values that are set to 0 in training, in [0, 1).

    Shape:
        Input (B, in_channels, X, Y[, Z]), sides of at least ``2 ** (len(features) - 1)``, 8 by default, but not necessarily
        divisible by it; output (B, num_classes), logits.

    Raises:
        ValueError: for invalid arguments, for inputs that are too small, and for an encoder of another width.

    Based on: the classification example of Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisClassifier
        >>> GenesisClassifier(num_classes=3, features=(4, 8))(torch.rand(2, 1, 16, 16, 8)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        num_classes: int = 2,
        encoder: nn.Module | None = None,
        hidden: int = 1024,
        spatial_dims: int = 3,
        in_channels: int = 1,
        features: Sequence[int] | int = (64, 128, 256, 512),
        norm: str | Sequence[Any] = "batch",
        act: str | Sequence[Any] = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        features = [int(width) for width in ensure_tuple(features)]
        if spatial_dims not in (2, 3):
            raise ValueError(f"GenesisClassifier: spatial_dims must be 2 or 3, got {spatial_dims!r}.")
        if isinstance(encoder, str):
            raise ValueError(
                f"GenesisClassifier: expected the encoder as a module, found the name of its class, {encoder}. Build the encoder "
                "as in the training, and give it as encoder=…."
            )
        if num_classes < 2:
            raise ValueError(f"GenesisClassifier: num_classes must be 2 or more, got {num_classes}.")
        if hidden < 1 or in_channels < 1:
            raise ValueError(f"GenesisClassifier: hidden and in_channels must be above 0, got {hidden}, {in_channels}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"GenesisClassifier: dropout must lie in 0 … 1, below 1, got {dropout}.")
        self.smallest_side = 1 if encoder is not None else 2 ** (len(features) - 1)
        self.deepest_width = features[-1]
        self._config = {
            "num_classes": int(num_classes),
            "encoder": None if encoder is None else f"{type(encoder).__module__}.{type(encoder).__qualname__}",
            "hidden": int(hidden),
            "spatial_dims": int(spatial_dims),
            "in_channels": int(in_channels),
            "features": features,
            "norm": plain(norm),
            "act": plain(act),
            "dropout": float(dropout),
        }
        self.encoder = Encoder(spatial_dims, in_channels, features, norm, act) if encoder is None else encoder
        self.head = nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(self.deepest_width, hidden),
                act=nn.ReLU(),
                dropout=nn.Dropout(dropout),
                classes=nn.Linear(hidden, num_classes),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, num_classes) of ``x`` (B, C, X, Y[, Z])."""
        for side in x.shape[2:]:
            if side < self.smallest_side:
                raise ValueError(
                    f"GenesisClassifier: every side must be {self.smallest_side} or more, got the sides {x.shape[2:]}; "
                    "pad the input or use larger cubes."
                )
        maps = self.encoder(x)
        deepest = maps if isinstance(maps, torch.Tensor) else maps[-1]
        if deepest.shape[1] != self.deepest_width:
            raise ValueError(
                f"GenesisClassifier: the encoder's deepest map has {deepest.shape[1]} channels, but the last value of features is "
                f"{self.deepest_width}. Set it to {deepest.shape[1]}."
            )
        return self.head(deepest.flatten(2).mean(dim=2))
