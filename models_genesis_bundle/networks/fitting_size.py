"""Says before a training starts that a network cannot take the cubes, and which ones it can."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from models_genesis_bundle.networks.finest_output import finest_output

__all__ = ["require_fitting_size"]

DIVISORS = (2, 4, 8, 16, 32, 64)


def require_fitting_size(network: torch.nn.Module, size: Sequence[int], setting: str = "cube_size") -> None:
    """Refuse a cube whose sides a network cannot take, or gives back changed.

    A twin of the network is run on PyTorch's ``meta`` device, shapes without arithmetic, which takes fractions of a second;
    the network itself stays as it is. One that runs on no size there, since it makes tensors of its own on another device,
    is let pass, and fails in training if it must.

    Args:
        network: from (B, C, X, Y[, Z]) to maps of the same sides, or several (see ``finest_output``).
        size: the sides of a cube in voxels.
        setting: what the size is called in the configuration, for the message.

    Raises:
        ValueError: naming the setting, the nearest larger size that fits, what its sides are divisible by, and the
            network's own words.
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
    """A copy on the ``meta`` device; the values are not copied on the way."""
    memo: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    memo |= {id(weight): torch.nn.Parameter(weight.detach().to("meta")) for weight in network.parameters()}
    return copy.deepcopy(network, memo)


def _problem(network: torch.nn.Module, size: list[int]) -> str:
    """Why a batch of cubes does not go through; empty when it does."""
    channels = next(
        (weight.shape[1] for weight in network.parameters() if weight.dim() > 2), 1
    )  # of the first convolution
    cubes = torch.empty(2, channels, *size, device="meta")
    try:
        with torch.no_grad():
            output = finest_output(network(cubes), cubes)
    except Exception as error:  # each network has its own way to refuse a size
        return str(error)
    sides = list(output.shape[2:])
    return "" if sides == size else f"it gives back the sides {sides}."
