"""2D U-Nets that process a volume slice by slice, and ImageNet weights for their encoders."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.networks.genesis_unet import GenesisUNet
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.efficientnet import url_map
from torch import nn

BACKBONES = tuple(name for name in url_map if name.startswith("efficientnet-"))
UNUSED_LAYERS = ("_conv_head", "_bn1", "_fc")  # only the original classifier uses them
SMALLEST_SIDE = 32  # the encoder halves five times
MEAN = (0.485, 0.456, 0.406)  # of ImageNet's red, green and blue in 0 … 1
STANDARD_DEVIATION = (0.229, 0.224, 0.225)  # of the same


class ImageNetWeightsError(RuntimeError):
    """ImageNet weights could not be loaded; the message says where to put the file."""


class SlicewiseUNet(nn.Module):
    """MONAI's ``FlexibleUNet`` with an EfficientNet encoder, run on every slice along Z separately.

    A grey slice is copied to three colour channels and scaled like ImageNet's images. The encoder starts with ImageNet weights
    from torch's cache (``$TORCH_HOME/hub/checkpoints``) or a download. Decoder and head start with random weights.

    Args:
        in_channels: 1 (grey) or 3 (red, green, blue).
        out_channels: channels of the output.
        backbone: ``"efficientnet-b0"`` … ``"efficientnet-b7"``.
        pretrained: load ImageNet weights into the encoder.

    Shape:
        Input (B, in_channels, X, Y, Z) in [0, 1], X and Y even and at least 32, Z any; output (B, out_channels, X, Y, Z), logits.

    Raises:
        ValueError: for another number of channels, an unknown backbone, and an input of another shape.
        ImageNetWeightsError: when the weights cannot be loaded; it says where to put the file.

    Based on: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv:1905.11946.

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
            _load_imagenet_weights(unet.encoder, backbone)
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
        """The constructor's arguments without ``pretrained``, because weights are loaded later."""
        return dict(self._config)


def _load_imagenet_weights(encoder: nn.Module, backbone: str) -> None:
    """Load all ImageNet weights and compare the file with the SHA-256 in its name; MONAI's loader does neither."""
    url = url_map[backbone]
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    refused = f"{path}: no ImageNet weights of {backbone}"
    try:
        found = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
        if (digest := torch.hub.HASH_REGEX.search(path.name)) and not file_sha256(path).startswith(digest[1]):
            raise OSError("its SHA-256 does not match its name")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        advice = f"the file does not exist: download {url} to this path, or set TORCH_HOME to a cache that has it"
        if path.exists():
            advice = "the file is damaged: remove it"
        raise ImageNetWeightsError(
            f"{refused} ({str(error).split('. ')[0]}); {advice}, or train without ImageNet weights "
            "(`--network_def::pretrained false`)."
        ) from error
    # Older files lack num_batches_tracked, which changes no result.
    own = {key: value for key, value in encoder.state_dict().items() if not key.endswith("num_batches_tracked")}
    # MONAI's keys are _blocks.stage.block, those of the file _blocks.block.
    theirs = {key: re.sub(r"^_blocks\.\d+\.", "_blocks.", key) for key in own}
    missing = [name for key, name in theirs.items() if name not in found or found[name].shape != own[key].shape]
    if missing:
        raise ImageNetWeightsError(
            f"{refused}: {len(missing)} of {len(own)} tensors are missing or of another shape, first {missing[0]}. Replace the "
            f"file by {url}."
        )
    encoder.load_state_dict({key: found[name] for key, name in theirs.items()}, strict=False)


class SlicewiseGenesisUNet(GenesisUNet):
    """``GenesisUNet(spatial_dims=2)``, run on every slice of a volume along Z separately.

    It has the arguments of ``GenesisUNet`` without ``spatial_dims``, and the keys of the 2D network, so that its weights fit.

    Shape:
        Input (B, in_channels, X, Y, Z), X and Y divisible by ``2 ** (len(features) - 1)``, 8 by default, Z any; output (B,
        out_channels, X, Y, Z).

    Raises:
        ValueError: as ``GenesisUNet``, and for inputs that are not volumes.

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


def by_slice(network: Callable[[torch.Tensor], torch.Tensor], volumes: torch.Tensor) -> torch.Tensor:
    """Run a 2D network on every slice along Z separately, all slices of a batch at once.

    Gradients pass through, so that the network can be trained on volumes. For inference with windows MONAI has ``SliceInferer``.

    Args:
        network: from (B, C, X, Y) to (B, D, X, Y).
        volumes: (B, C, X, Y, Z).

    Returns:
        (B, D, X, Y, Z).

    Raises:
        ValueError: for an input that is not a volume.

    Examples:
        >>> from models_genesis_bundle.networks import by_slice
        >>> by_slice(torch.nn.Conv2d(1, 4, kernel_size=3, padding=1), torch.rand(2, 1, 16, 16, 5)).shape
        torch.Size([2, 4, 16, 16, 5])
    """
    if volumes.dim() != 5:
        raise ValueError(f"by_slice: needs volumes (B, C, X, Y, Z), got the shape {tuple(volumes.shape)}.")
    batch, depth = volumes.shape[0], volumes.shape[-1]
    outputs = network(volumes.movedim(-1, 1).flatten(0, 1))
    return outputs.unflatten(0, (batch, depth)).movedim(1, -1)
