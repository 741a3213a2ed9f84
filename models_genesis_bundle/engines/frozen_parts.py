"""Frozen parts of a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from models_genesis_bundle.weights import network_parts, select_parts, unwrap


def freeze_parts(network: torch.nn.Module, parts: str | Sequence[str]) -> torch.nn.Module:
    """Freeze parts of a network: no gradients, and fixed normalisation statistics.

    A forward hook sets the frozen modules to evaluation mode before every forward pass, because MONAI's trainer calls
    ``network.train()`` in each iteration. Freeze before wrapping the network in ``DistributedDataParallel``.

    Args:
        network: changed in place.
        parts: names from ``encoder``, ``decoder``, ``head``; an empty list freezes nothing.

    Returns:
        The network.

    Raises:
        ValueError: for an unknown part.
        UnknownLayoutError: when parts are named, and the network's are not known.
    """
    parts = [parts] if isinstance(parts, str) else list(parts)
    if not parts:
        return network
    bare = unwrap(network)
    known = network_parts(bare)
    frozen = {key for part in select_parts(parts, known, "freeze") for key in known[part]}
    for name, parameter in bare.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    within = [
        name
        for name, module in bare.named_modules()
        if (keys := module.state_dict(prefix=f"{name}." if name else "").keys()) and keys <= frozen
    ]
    bare.register_forward_pre_hook(partial(_put_into_evaluation, within))
    return network


def _put_into_evaluation(modules: Sequence[str], network: torch.nn.Module, inputs: Any) -> None:
    for name in modules:  # by name: a copy of the network (EMA) has modules of its own
        network.get_submodule(name).eval()
