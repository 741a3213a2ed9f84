"""Deformations keep the type of an array: NumPy array, tensor or MetaTensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.data import MetaTensor

__all__ = ["apply_float32", "spatial_sides"]


def apply_float32(image: NdarrayOrTensor, deform: Callable[[np.ndarray], np.ndarray]) -> NdarrayOrTensor:
    """Run ``deform`` on ``image`` as a contiguous float32 array, and give the result the type of ``image``.

    Args:
        image: NumPy array, tensor or MetaTensor of any shape; a tensor on a GPU goes through host memory.
        deform: makes a new array of the same shape.

    Returns:
        float32, of the type, the device and, for a MetaTensor, the metadata of ``image``.
    """
    if isinstance(image, torch.Tensor):
        array = image.detach().as_subclass(torch.Tensor).cpu().numpy()
        result = torch.from_numpy(deform(np.ascontiguousarray(array, dtype=np.float32))).to(image.device)
        if isinstance(image, MetaTensor):
            return MetaTensor(result).copy_meta_from(image)
        return result
    return deform(np.ascontiguousarray(image, dtype=np.float32))


def spatial_sides(image: NdarrayOrTensor, name: str) -> tuple[int, ...]:
    """The spatial sides of a channel-first 2D or 3D image.

    Raises:
        ValueError: for another number of axes, naming the transform.
    """
    sides = tuple(int(side) for side in image.shape[1:])
    if len(sides) not in (2, 3):
        raise ValueError(f"{name}: expected an image (C, X, Y) or (C, X, Y, Z), got the shape {tuple(image.shape)}.")
    return sides
