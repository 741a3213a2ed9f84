"""An optimizer's parameter groups: a learning rate for each part of the network, and parts that are frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models_genesis_bundle.engines.frozen_parts import freeze_parts
from models_genesis_bundle.weights import network_parts, unwrap

__all__ = ["parameter_groups"]


def parameter_groups(
    network: torch.nn.Module,
    learning_rate: float,
    encoder_lr_factor: float = 1.0,
    freeze: str | Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer; a pretrained encoder often wants a smaller rate than a decoder and head that are new.

    The encoder's group comes last, so that the first one's rate, which logs and ``metrics.csv`` show, is ``learning_rate``
    where anything but the encoder is trained.

    Args:
        network: its parts are known as in ``weights.network_parts``; one of an unknown layout makes a single group, as long
            as its encoder gets no rate of its own and nothing is frozen.
        learning_rate: of all parts but the encoder.
        encoder_lr_factor: times ``learning_rate`` is the encoder's rate; above 0.
        freeze: names of parts that are not trained, see ``freeze_parts``; they are in no group.

    Returns:
        ``{"params", "lr", "name"}`` for each part with parameters to train.

    Raises:
        ValueError: for an unknown part, a factor that is not above 0, and when nothing is left to train.
        UnknownLayoutError: when the parts are needed and not known.
    """
    if encoder_lr_factor <= 0:
        raise ValueError(
            f"encoder_lr_factor: expected a number above 0, found {encoder_lr_factor}; to keep the encoder as it is, freeze it."
        )
    freeze = [freeze] if isinstance(freeze, str) else list(freeze)
    freeze_parts(network, freeze)
    bare = unwrap(network)
    trained = {name: parameter for name, parameter in bare.named_parameters() if parameter.requires_grad}
    if not trained:
        raise ValueError(f"freeze: nothing is left to train, {', '.join(freeze) or 'the whole network'} is frozen.")
    if encoder_lr_factor == 1 and not freeze:
        return [{"params": list(trained.values()), "lr": learning_rate, "name": "network"}]
    parts = network_parts(bare)
    rates = {part: learning_rate for part in parts if part != "encoder"} | {
        "encoder": learning_rate * encoder_lr_factor
    }
    groups = [
        {"params": [trained[key] for key in parts[part] if key in trained], "lr": rate, "name": part}
        for part, rate in rates.items()
    ]
    return [group for group in groups if group["params"]]
