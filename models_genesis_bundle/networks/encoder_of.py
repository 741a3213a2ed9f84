"""Encoders of networks without an encoder module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

__all__ = ["encoder_of"]


def encoder_of(network: nn.Module, parts: Sequence[str]) -> nn.Sequential:
    """The named parts of a network, one after the other, as an encoder for ``GenesisClassifier``.

    Some of MONAI's networks have their encoder as one module, which needs no adapter: ``SegResNetDS``'s is a
    ``SegResEncoder``, ``SwinUNETR``'s a ``SwinTransformer``. Others list its parts next to the decoder's:

    ============= ===============================================
    network       parts
    ============= ===============================================
    ``BasicUNet`` ``conv_0``, ``down_1`` … ``down_4``
    ``DynUNet``   ``input_block``, ``downsamples``, ``bottleneck``
    ============= ===============================================

    The keys of the result are those of the network, so that after the prefix ``encoder.`` of the classifier they
    still match.

    Args:
        network: has the parts; it shares them with the result.
        parts: names of modules, in the order of the forward pass. Each takes the map of the one before; a list
            of modules stands for its members in order.

    Raises:
        ValueError: for a part that the network does not have, with those that it has.

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
            f"encoder_of: {type(network).__name__} has no parts {missing or 'named'}. "
            f"Name some of {', '.join(children)} in the order of the forward pass."
        )
    return nn.Sequential(
        OrderedDict(
            (name, nn.Sequential(*children[name]) if isinstance(children[name], nn.ModuleList) else children[name])
            for name in parts
        )
    )
