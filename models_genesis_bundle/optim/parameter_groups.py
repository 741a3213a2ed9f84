"""An optimizer's parameter groups: a learning rate for each layer of the network."""

from __future__ import annotations

import re
from typing import Any

import torch
from models_genesis_bundle.weights import UnknownLayoutError, network_parts, unwrap

__all__ = ["parameter_groups"]


def parameter_groups(
    network: torch.nn.Module, learning_rate: float, encoder_lr_factor: float = 1.0, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, with smaller learning rates for pretrained layers.

    The head, or the last part with parameters to train, comes first: logs and ``metrics.csv`` show the rate of the first
    group, which is ``learning_rate``. Frozen parameters (see ``engines.freeze_parts``) are in no group.

    Args:
        network: its parts are known as in ``weights.network_parts``. A network of an unknown layout makes a single group
            named ``"network"`` with one rate.
        learning_rate: of the head.
        encoder_lr_factor: the rates of the encoder are multiplied by it; above 0.
        layer_decay: each layer has ``layer_decay`` times the rate of the layer after it; above 0, up to 1. Layers are the
            network's numbered modules: a stage of ``GenesisUNet``, a level of MONAI's networks.

    Returns:
        ``{"params", "lr", "name"}`` for each part with parameters to train, or for each layer when ``layer_decay`` is
        below 1. ``name`` starts with the name of the part: ``"encoder"``, ``"encoder.stages.0"``.

    Raises:
        ValueError: for a factor or decay out of range, and when nothing is left to train.
        UnknownLayoutError: when the parts are needed and not known.

    Source:
        Clark et al., *ELECTRA*, ICLR 2020, for the decay by layer.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.optim import parameter_groups
        >>> groups = parameter_groups(GenesisUNet(features=(4, 8)), 0.1, layer_decay=0.5)
        >>> [(group["name"], group["lr"]) for group in groups]
        [('head', 0.1), ('decoder.stages.0', 0.05), ('encoder.stages.1', 0.025), ('encoder.stages.0', 0.0125)]
    """
    if encoder_lr_factor <= 0:
        raise ValueError(
            f"encoder_lr_factor: expected a number above 0, found {encoder_lr_factor}; freeze the encoder to keep it unchanged."
        )
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay: expected a number above 0, up to 1, found {layer_decay}.")
    bare = unwrap(network)
    trained = {name: parameter for name, parameter in bare.named_parameters() if parameter.requires_grad}
    if not trained:
        raise ValueError("freeze: expected parts of the network, found all of them: nothing is left to train.")
    try:
        parts = network_parts(bare)
    except UnknownLayoutError:
        if encoder_lr_factor != 1 or layer_decay != 1:
            raise
        return [{"params": list(trained.values()), "lr": learning_rate, "name": "network"}]
    groups: dict[str, dict[str, Any]] = {}
    for part in ("encoder", "decoder", "head"):
        factor = encoder_lr_factor if part == "encoder" else 1.0
        for key in filter(trained.__contains__, parts.get(part, [])):
            name = _layer(part, key) if layer_decay < 1 else part
            groups.setdefault(name, {"params": [], "lr": learning_rate * factor, "name": name})["params"].append(
                trained[key]
            )
    backwards = list(reversed(groups.values()))
    for depth, group in enumerate(backwards):
        group["lr"] *= layer_decay**depth
    return backwards


def _layer(part: str, key: str) -> str:
    """The name of a layer: the part, and the start of the key up to its first numbered module."""
    numbered = re.match(r"\w*\d(?=\.)|.*?\.\d+(?=\.)", key)
    if numbered is None:
        return part
    return numbered[0] if key.startswith(f"{part}.") else f"{part}.{numbered[0]}"
