"""Learning rates for the layers of a network, and a schedule that trains the decoder before the whole network."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import torch
from models_genesis_bundle.weights import UnknownLayoutError, network_parts, unwrap
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(
    network: torch.nn.Module, learning_rate: float, encoder_lr_factor: float = 1.0, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer, with smaller learning rates for pretrained layers.

    The head, or else the last part with parameters to train, is the first group: logs and ``metrics.csv`` show its rate,
    ``learning_rate``. Frozen parameters (see ``engines.freeze_parts``) are in no group.

    Args:
        network: with parts as in ``weights.network_parts``; a network of unknown layout gets a single group ``"network"``.
        learning_rate: learning rate of the head.
        encoder_lr_factor: factor of the encoder's learning rates, above 0.
        layer_decay: ratio of a layer's rate to that of the next layer; above 0, up to 1. Layers are the levels of encoder and
            decoder (numbered modules: a stage of ``GenesisUNet``), the modules before and after them, and the head.

    Returns:
        ``{"params", "lr", "name"}`` for each part with parameters to train, or for each layer when ``layer_decay`` is below 1.
        ``name`` starts with the name of the part: ``"encoder"``, ``"encoder.stages.0"``.

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
        raise ValueError(
            "freeze: all parameters of the network are frozen, so there is nothing to train. Freeze fewer parts."
        )
    try:
        parts = network_parts(bare)
    except UnknownLayoutError:
        if encoder_lr_factor != 1 or layer_decay != 1:
            raise
        return [{"params": list(trained.values()), "lr": learning_rate, "name": "network"}]
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for part in ("encoder", "decoder", "head"):
        factor = encoder_lr_factor if part == "encoder" else 1.0
        for key in filter(trained.__contains__, parts.get(part, [])):
            level, name = _layer(part, key) if layer_decay < 1 and part != "head" else ("", part)
            group = groups.setdefault((part, level), {"params": [], "lr": learning_rate * factor, "name": name})
            group["params"].append(trained[key])
    backwards = list(reversed(groups.values()))
    for depth, group in enumerate(backwards):
        group["lr"] *= layer_decay**depth
    return backwards


def _layer(part: str, key: str) -> tuple[str, str]:
    """The level of a key, and the name of its layer, which starts with the part.

    Modules with the same number, such as ``up_layers.1`` and ``up_samples.1``, are one level. A module without a number is a
    level of its own, and so is SegResNet's ``conv_final.0``, which comes after all levels.
    """
    numbered = re.match(r"(?!conv_final)(\w*\d(?=\.)|.*?\.\d+(?=\.))", key)
    module = numbered[0] if numbered else f"{part}.{key.removeprefix(f'{part}.').partition('.')[0]}"
    level = re.findall(r"\d+", module)[0] if numbered else module
    return level, module if module.startswith(f"{part}.") else f"{part}.{module}"


def sawtooth(optimizer: torch.optim.Optimizer, warmup_epochs: int, max_epochs: int, power: float = 0.9) -> LambdaLR:
    """A schedule with two linear warm-ups, the first one without the encoder, and then a polynomial decay to 0.

    In the first warm-up the encoder's rate is 0: its weights stay the same while the new layers learn, but its batch statistics
    follow the data. In the second warm-up all rates rise from 0 again. Step the schedule after each epoch.

    Args:
        optimizer: with groups named as ``parameter_groups`` names them.
        warmup_epochs: epochs of each of the two warm-ups, 1 or more.
        max_epochs: epochs of the whole training, more than ``2 * warmup_epochs``.
        power: exponent of the decay.

    Raises:
        ValueError: for lengths out of range, and for an optimizer without a group of the encoder.

    Source:
        Wald et al., *An OpenMind for 3D medical vision self-supervised learning*, 2025, "sawtooth".

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.optim import parameter_groups, sawtooth
        >>> groups = parameter_groups(GenesisUNet(features=(4, 8)), 0.1, layer_decay=0.5)
        >>> schedule = sawtooth(torch.optim.SGD(groups), warmup_epochs=2, max_epochs=10)
        >>> schedule.get_last_lr()
        [0.05, 0.025, 0.0, 0.0]
    """
    if warmup_epochs < 1 or max_epochs <= 2 * warmup_epochs:
        raise ValueError(
            f"warmup_epochs: expected 1 to {(max_epochs - 1) // 2} (two warm-ups within max_epochs={max_epochs}), "
            f"found {warmup_epochs}."
        )
    names = [str(group.get("name", "")) for group in optimizer.param_groups]
    in_encoder = [name.startswith("encoder") for name in names]
    if not any(in_encoder) or all(in_encoder):
        raise ValueError(
            "sawtooth: expected an optimizer with parameter groups for the encoder and for other parts, as parameter_groups "
            f"makes them, found {', '.join(names)}. It cannot be combined with freeze."
        )
    factor = partial(_factor, warmup_epochs=warmup_epochs, max_epochs=max_epochs, power=power)
    return LambdaLR(optimizer, [partial(factor, starts_at=warmup_epochs if encoder else 0) for encoder in in_encoder])


def _factor(epoch: int, warmup_epochs: int, max_epochs: int, power: float, starts_at: int) -> float:
    """The factor of the learning rate in an epoch, counted from 0."""
    if epoch < starts_at:
        return 0.0
    if epoch < 2 * warmup_epochs:
        return (epoch % warmup_epochs + 1) / warmup_epochs
    return (1 - (epoch - 2 * warmup_epochs) / (max_epochs - 2 * warmup_epochs)) ** power
