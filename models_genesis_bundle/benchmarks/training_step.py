"""One training step of a network, as the configurations set it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from models_genesis_bundle.engines import RestorationInferer, to_memory_format
from models_genesis_bundle.networks import GenesisUNet

__all__ = ["training_step", "training_step_flops"]


def training_step(
    features: Sequence[int],
    cubes: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
    compiled: bool = False,
) -> Callable[[], float]:
    """A function that makes one step of a new ``GenesisUNet`` on the cubes: forward, MSE, backward, SGD.

    Args:
        features: widths of the network.
        cubes: (B, 1, X, Y, Z) in 0 … 1, on the device to compute on; deformed cubes and targets at once.
        dtype: of the forward pass, by autocast.
        channels_last: memory format of the weights.
        compiled: with ``torch.compile``; the first step compiles.

    Returns:
        The function. It returns the loss, for which it waits for the device to finish.
    """
    network = to_memory_format(GenesisUNet(features=features).to(cubes.device), channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    inferer = RestorationInferer(dtype, "sigmoid")
    forward = torch.compile(network) if compiled else network

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(inferer(cubes, forward), cubes)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def training_step_flops(features: Sequence[int], cube_size: Sequence[int]) -> int:
    """Floating-point operations of forward and backward for one cube: those of convolutions, a multiply-add being two.

    Args:
        features: widths of the network.
        cube_size: sides of the cube in voxels.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        GenesisUNet(features=features)(torch.rand(1, 1, *cube_size)).mean().backward()
    return counter.get_total_flops()
