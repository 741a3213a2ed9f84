"""The patch size for a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["choose_patch_size", "voxel_budget"]

BYTES_PER_VOXEL = 4096  # memory of the published network for a voxel's backward pass: 3.4 KiB in float32
SMALLEST, LARGEST = 64 * 64 * 32, 96**3  # voxels: the patches of pretraining; what an output voxel can see of the input
SHORTEST_SIDE = 16


def voxel_budget(patches: int, first_width: int = 64, device_memory: int | None = None) -> int:
    """The number of voxels of a patch with which the training needs at most half of the GPU's memory.

    Args:
        patches: number in a batch.
        first_width: channels of the first stage, which needs most of the memory.
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
    """The whole scan if it is small enough, else a part of it with about equal sides in millimetres.

    Args:
        shape: voxels along each axis of the usual scan.
        spacing: sides of a voxel in millimetres.
        voxels: largest number in the patch.
        divisor: of each side.

    Returns:
        Voxels along each axis: those of the scan rounded up to a multiple of ``divisor``, or fewer, but at least 16
        if the scan has as many.
    """
    sides = [math.ceil(side / divisor) * divisor for side in shape]
    shortest = math.ceil(SHORTEST_SIDE / divisor) * divisor
    while math.prod(sides) > voxels:
        longest = max(range(len(sides)), key=lambda axis: (sides[axis] > shortest, sides[axis] * spacing[axis]))
        if sides[longest] <= shortest:
            break
        sides[longest] -= divisor
    return tuple(sides)
