"""The encoder of any network as one module, and the feature maps of its stages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import nn

ENCODERS = ("encoder", "swinViT")  # names of encoder modules in networks
PARTS = {  # by class, for networks without an encoder module: see encoder_of
    "BasicUNet": ("conv_0", "down_1", "down_2", "down_3", "down_4"),
    "DynUNet": ("input_block", "downsamples", "bottleneck"),
    "SegResNet": ("convInit", "down_layers"),
}


def encoder_of(network: nn.Module, parts: Sequence[str]) -> nn.Sequential:
    """The named parts of a network, one after the other, as an encoder for ``GenesisClassifier``.

    Use it for networks without an encoder module: ``DynUNet`` has the parts ``input_block``, ``downsamples`` and ``bottleneck``,
    ``BasicUNet`` those of the example. Not needed for MONAI's ``SegResNetDS`` (``SegResEncoder``) and ``SwinUNETR``
    (``SwinTransformer``). Apart from the classifier's prefix ``encoder.``, the keys are those of the network.

    Args:
        network: the network, which shares the parts with the result.
        parts: names of modules, in the order of the forward pass. The members of a ``ModuleList`` run in order.

    Raises:
        ValueError: for a part that the network does not have; the message names its parts.

    Examples:
        >>> from monai.networks.nets import BasicUNet
        >>> from models_genesis_bundle.networks import encoder_of
        >>> encoder = encoder_of(BasicUNet(features=(4, 4, 8, 8, 16, 4)), ["conv_0", "down_1", "down_2", "down_3", "down_4"])
        >>> encoder(torch.rand(1, 1, 32, 32, 32)).shape
        torch.Size([1, 16, 2, 2, 2])
    """
    children = dict(network.named_children())
    missing = [name for name in parts if name not in children]
    if missing or not parts:
        raise ValueError(
            f"encoder_of: expected names of modules of {type(network).__name__}, found {missing or 'none'}. "
            f"Choose from {', '.join(children)}, in the order of the forward pass."
        )
    return nn.Sequential(
        OrderedDict(
            (name, nn.Sequential(*children[name]) if isinstance(children[name], nn.ModuleList) else children[name])
            for name in parts
        )
    )


class StageMaps(nn.Module):
    """A network's encoder, which returns the feature maps of all stages.

    It supports ``GenesisUNet`` and ``GenesisClassifier``, MONAI's ``SegResNetDS``, ``SegResNet``, ``DynUNet``, ``SwinUNETR`` and
    ``BasicUNet``, nnU-Net's ``PlainConvUNet`` and ``ResidualEncoderUNet``, and other networks with a module ``encoder``. For all
    others, give ``parts``; blocks whose maps have the same shape are one stage, with the map of the last block.

    Args:
        network: the network, which shares its encoder with the result.
        parts: names of the encoder's modules, as in ``encoder_of``; None: for a supported network.

    Shape:
        Input (B, C, X, Y[, Z]), sides that fit the network; output a list of maps (B, C_i, X_i, Y_i[, Z_i]), finest first.

    Raises:
        ValueError: for a network whose encoder is not known.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> maps = StageMaps(GenesisUNet(features=(4, 8)))(torch.zeros(1, 1, 16, 16, 8))
        >>> [tuple(one.shape) for one in maps]
        [(1, 4, 16, 16, 8), (1, 8, 8, 8, 4)]
    """

    def __init__(self, network: nn.Module, parts: Sequence[str] | None = None) -> None:
        super().__init__()
        children = dict(network.named_children())
        name = next((name for name in ENCODERS if name in children), None)
        parts = parts or (None if name else PARTS.get(type(network).__name__))
        if parts:
            self.encoder: nn.Module = encoder_of(network, parts)
        elif name:
            self.encoder = children[name]
        else:
            raise ValueError(
                f"StageMaps: the encoder of {type(network).__name__} is not known. Name its modules, from "
                f"{', '.join(children) or 'none'}, in the order of the forward pass."
            )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The maps of all stages, finest first."""
        if type(self.encoder) is not nn.Sequential:  # a subclass is a block
            found = self.encoder(x)
            return [found] if isinstance(found, torch.Tensor) else list(found)
        maps: list[torch.Tensor] = []
        for block in _blocks(self.encoder):
            x = block(x)
            if maps and maps[-1].shape == x.shape:  # SegResNet has several blocks at a stage
                maps.pop()
            maps.append(x)
        return maps


def _blocks(chain: nn.Sequential) -> Iterator[nn.Module]:
    for module in chain:
        if type(module) is nn.Sequential:
            yield from _blocks(module)
        else:
            yield module
