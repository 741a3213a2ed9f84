"""Compares what networks, or state dicts, hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

State = torch.nn.Module | Mapping[str, torch.Tensor]


def copy_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's tensors, which no training or loading changes."""
    return {key: value.clone() for key, value in network.state_dict().items()}


def same(one: State, other: State, keys: Iterable[str] | None = None) -> bool:
    """Whether the tensors under the keys are the same; without ``keys``, all tensors of both."""
    own, theirs = (state.state_dict() if isinstance(state, torch.nn.Module) else state for state in (one, other))
    if keys is None and own.keys() != theirs.keys():
        return False
    return all(torch.equal(own[key], theirs[key]) for key in (own if keys is None else keys))
