"""A 2D network with ImageNet weights that segments volumes slice by slice: the baseline that 3D pretraining must beat."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.efficientnet import url_map
from torch import nn

from models_genesis_bundle.networks.by_slice import by_slice
from models_genesis_bundle.networks.imagenet_weights import MEAN, STANDARD_DEVIATION, load_imagenet_weights

__all__ = ["SlicewiseUNet"]

BACKBONES = tuple(name for name in url_map if name.startswith("efficientnet-"))
UNUSED_LAYERS = ("_conv_head", "_bn1", "_fc")  # of the classifier that the encoder was: no gradient reaches them
SMALLEST_SIDE = 32  # the encoder halves five times


class SlicewiseUNet(nn.Module):
    """MONAI's ``FlexibleUNet`` with an EfficientNet encoder, run on every slice along Z on its own.

    A grey slice is shown to all three colour channels, scaled as ImageNet's images were: mean (0.485, 0.456, 0.406)
    taken off, divided by (0.229, 0.224, 0.225). The encoder starts with ImageNet weights from torch's cache
    (``$TORCH_HOME/hub/checkpoints``) or a download, the decoder and the head start at random.

    Args:
        in_channels: 1 (grey), or 3, which are taken as red, green and blue.
        out_channels: channels of the output.
        backbone: ``"efficientnet-b0"`` … ``"efficientnet-b7"``.
        pretrained: load ImageNet weights into the encoder.

    Shape:
        Input (B, in_channels, X, Y, Z) in [0, 1], X and Y even and at least 32, Z any; output (B, out_channels, X, Y, Z), logits.

    Raises:
        ValueError: for another number of channels, an unknown backbone, and an input of another shape.
        ImageNetWeightsError: when the weights cannot be had; it says where to put the file.

    Based on: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
        arXiv:1905.11946.

    Examples:
        >>> from models_genesis_bundle.networks import SlicewiseUNet
        >>> SlicewiseUNet(out_channels=2, pretrained=False)(torch.rand(1, 1, 32, 32, 2)).shape
        torch.Size([1, 2, 32, 32, 2])
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 2, backbone: str = "efficientnet-b0", pretrained: bool = True
    ) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ValueError(f"SlicewiseUNet: in_channels must be 1 (grey) or 3 (colours), got {in_channels}.")
        if backbone not in BACKBONES:
            raise ValueError(f"SlicewiseUNet: backbone must be one of {', '.join(BACKBONES)}, got {backbone!r}.")
        self._config = {"in_channels": int(in_channels), "out_channels": int(out_channels), "backbone": backbone}
        unet = FlexibleUNet(in_channels=3, out_channels=out_channels, backbone=backbone, pretrained=False)
        for layer in UNUSED_LAYERS:
            delattr(unet.encoder, layer)
        if pretrained:
            load_imagenet_weights(unet.encoder, backbone)
        self.encoder = unet.encoder
        self.decoder = unet.decoder
        self.head = unet.segmentation_head
        self.skip_connections = unet.skip_connect
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("standard_deviation", torch.tensor(STANDARD_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, out_channels, X, Y, Z) of ``x`` (B, in_channels, X, Y, Z)."""
        if x.dim() != 5 or any(side < SMALLEST_SIDE or side % 2 for side in x.shape[2:4]):
            raise ValueError(
                f"SlicewiseUNet: needs volumes (B, C, X, Y, Z) with X and Y even and at least {SMALLEST_SIDE}, got the shape "
                f"{tuple(x.shape)}; pad or crop the input, for example with MONAI's DivisiblePad."
            )
        return by_slice(self._segment, x)

    def _segment(self, slices: torch.Tensor) -> torch.Tensor:
        """Logits (B, out_channels, X, Y) of slices (B, in_channels, X, Y)."""
        features = self.encoder((slices.expand(-1, 3, -1, -1) - self.mean) / self.standard_deviation)
        return self.head(self.decoder(features, self.skip_connections))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments but ``pretrained``, which says nothing of a network whose weights are loaded later."""
        return dict(self._config)
