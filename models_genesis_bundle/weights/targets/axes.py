"""Convolution kernels for arrays with another order of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from models_genesis_bundle.weights.targets.target import State

__all__ = ["kernels_from_zyx", "kernels_to_zyx", "zyx_order"]

AXIS = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}  # X, Y, Z


def zyx_order(orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> tuple[int, ...]:
    """The permutation that brings the axes of an array into the order Z, Y, X.

    Args:
        orientation: the array's axes, one letter each of R, L, A, P, S, I: ``RAS`` is (X, Y, Z).
        transpose: a further permutation, of (Z, Y, X): ``transpose_forward`` in nnU-Net's plans.

    Returns:
        (2, 1, 0) for ``RAS``, (0, 1, 2) for ``SPL``.
    """
    axes = [AXIS[letter] for letter in orientation]
    return tuple(axes.index(2 - place) for place in transpose if 2 - place in axes)


def kernels_to_zyx(state: Mapping[str, torch.Tensor], orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Permute all kernels (outputs, inputs, sides …) of a network for arrays (Z, Y, X); arguments as in ``zyx_order``.

    The direction of an axis (left to right, or right to left) stays: nnU-Net takes each scan as its file has it.
    """
    return {key: _permuted(value, zyx_order(orientation[: value.dim() - 2], transpose)) for key, value in state.items()}


def kernels_from_zyx(state: Mapping[str, torch.Tensor], transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Permute all 3D kernels of a network for arrays (Z, Y, X) back, for arrays (X, Y, Z)."""
    order = zyx_order("RAS", transpose)
    back = tuple(order.index(axis) for axis in range(3))
    return {key: _permuted(value, back) if value.dim() == 5 else value for key, value in state.items()}


def _permuted(value: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    return value.permute(0, 1, *(axis + 2 for axis in order)).contiguous() if value.dim() > 2 else value
