"""Runs a 2D network over the slices of volumes."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["by_slice"]


def by_slice(network: Callable[[torch.Tensor], torch.Tensor], volumes: torch.Tensor) -> torch.Tensor:
    """Run ``network`` on every slice along Z on its own, all slices of a batch at once.

    It carries gradients, so that a 2D network can be trained on volumes; for inference with sliding windows MONAI has
    ``SliceInferer``.

    Args:
        network: from (B, C, X, Y) to (B, D, X, Y).
        volumes: (B, C, X, Y, Z).

    Returns:
        (B, D, X, Y, Z).

    Raises:
        ValueError: for an input that is no volume.

    Examples:
        >>> from models_genesis_bundle.networks import by_slice
        >>> by_slice(torch.nn.Conv2d(1, 4, kernel_size=3, padding=1), torch.rand(2, 1, 16, 16, 5)).shape
        torch.Size([2, 4, 16, 16, 5])
    """
    if volumes.dim() != 5:
        raise ValueError(f"by_slice: needs volumes (B, C, X, Y, Z), got the shape {tuple(volumes.shape)}.")
    batch, depth = volumes.shape[0], volumes.shape[-1]
    outputs = network(volumes.movedim(-1, 1).flatten(0, 1))
    return outputs.unflatten(0, (batch, depth)).movedim(1, -1)
