"""How large the patches of a dataset can be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["choose_patch_size", "voxel_budget"]

BYTES_PER_VOXEL = 4096  # what the published network keeps of a voxel for the backward pass: 3.4 KiB in float32
SMALLEST, LARGEST = 64 * 64 * 32, 96**3  # voxels: the patches of pretraining; what an output voxel can see of the input
SHORTEST_SIDE = 16


def voxel_budget(patches: int, first_width: int = 64, device_memory: int | None = None) -> int:
    """How many voxels a patch may have, so that the training takes half of the GPU's memory at most.

    Args:
        patches: how many go through the network at a time.
        first_width: channels of its first stage, which most of the memory is for.
        device_memory: bytes of the GPU; None: those of the first GPU here.

    Returns:
        Between 64 × 64 × 32, also without a GPU, and 96 × 96 × 96 voxels.
    """
    if device_memory is None and torch.cuda.is_available():
        device_memory = torch.cuda.get_device_properties(0).total_memory
    voxels = (device_memory or 0) / 2 / (patches * BYTES_PER_VOXEL * first_width / 64)
    return int(min(max(voxels, SMALLEST), LARGEST))


def choose_patch_size(
    shape: Sequence[float], spacing: Sequence[float], voxels: int, divisor: int = 8
) -> tuple[int, ...]:
    """The whole scan where that is small enough, else a part of it that is about as long as wide in millimetres.

    Args:
        shape: voxels along each axis of the usual scan.
        spacing: sides of a voxel in millimetres.
        voxels: how many the patch may have.
        divisor: of each side.

    Returns:
        Voxels along each axis: those of the scan rounded up to a multiple of ``divisor``, or fewer, but not below 16
        where the scan has as many.
    """
    sides = [math.ceil(side / divisor) * divisor for side in shape]
    shortest = math.ceil(SHORTEST_SIDE / divisor) * divisor
    while math.prod(sides) > voxels:
        longest = max(range(len(sides)), key=lambda axis: (sides[axis] > shortest, sides[axis] * spacing[axis]))
        if sides[longest] <= shortest:
            break
        sides[longest] -= divisor
    return tuple(sides)
