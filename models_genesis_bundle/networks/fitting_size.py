"""Checks before a training starts that a network can take the cubes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from models_genesis_bundle.networks.finest_output import finest_output

__all__ = ["require_fitting_size"]

DIVISORS = (2, 4, 8, 16, 32, 64)


def require_fitting_size(network: torch.nn.Module, size: Sequence[int], setting: str = "cube_size") -> None:
    """Refuse a cube whose sides a network cannot take, or does not keep.

    A copy of the network is run on PyTorch's ``meta`` device (shapes without arithmetic), which takes fractions of a
    second; the network itself is not changed. A network that cannot run there at all, because it makes tensors on another
    device, is not checked.

    Args:
        network: from (B, C, X, Y[, Z]) to maps of the same sides, or several (see ``finest_output``).
        size: the sides of a cube in voxels.
        setting: the setting's name in the configuration, for the message.

    Raises:
        ValueError: naming the setting, the nearest larger size that fits, the divisor of its sides, and the
            network's own message.
    """
    size = [int(side) for side in size]
    twin = _without_values(network)
    problem = _problem(twin, size)
    if not problem:
        return
    for divisor in DIVISORS:
        larger = [-(-side // divisor) * divisor for side in size]
        if larger != size and not _problem(twin, larger):
            raise ValueError(
                f"{setting}: {type(network).__name__} cannot take {size}. Sides divisible by {divisor} fit: "
                f"`--{setting} '{larger}'`. The network says: {problem}"
            )


def _without_values(network: torch.nn.Module) -> torch.nn.Module:
    """A copy on the ``meta`` device, made without copying values."""
    memo: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    memo |= {id(weight): torch.nn.Parameter(weight.detach().to("meta")) for weight in network.parameters()}
    return copy.deepcopy(network, memo)


def _problem(network: torch.nn.Module, size: list[int]) -> str:
    """Why a batch of cubes fails; empty when it does not."""
    channels = next(
        (weight.shape[1] for weight in network.parameters() if weight.dim() > 2), 1
    )  # of the first convolution
    cubes = torch.empty(2, channels, *size, device="meta")
    try:
        with torch.no_grad():
            output = finest_output(network(cubes), cubes)
    except Exception as error:  # networks raise different errors for a size
        return str(error)
    sides = list(output.shape[2:])
    return "" if sides == size else f"it gives back the sides {sides}."
