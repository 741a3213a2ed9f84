"""Kernels for arrays whose axes come in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from models_genesis_bundle.weights.targets.target import State

__all__ = ["kernels_from_zyx", "kernels_to_zyx", "zyx_order"]

ENDS = ("RL", "AP", "SI")  # of X, Y and Z
ZYX = (2, 1, 0)


def zyx_order(orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> tuple[int, ...]:
    """Which axis of an array comes first, second, … when the order shall be Z, Y, X.

    Args:
        orientation: the array's axes, a letter each out of R, L, A, P, S, I: ``RAS`` is (X, Y, Z).
        transpose: a further order, of the axes (Z, Y, X): ``transpose_forward`` in nnU-Net's plans.

    Returns:
        A permutation: (2, 1, 0) for ``RAS``, (0, 1, 2) for ``SPL``.
    """
    world = [next(number for number, ends in enumerate(ENDS) if letter in ends) for letter in orientation]
    return tuple(world.index(axis) for axis in (ZYX[place] for place in transpose) if axis in world)


def kernels_to_zyx(state: Mapping[str, torch.Tensor], orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Turn the axes of all kernels, so that an array in the order Z, Y, X gets the same output, in that order.

    The direction in which an axis runs (from left to right, or from right to left) is left as it is: nnU-Net takes each scan
    as its file has it.

    Args:
        state: tensors by key; kernels are (outputs, inputs, sides …).
        orientation: the axes of the arrays that the network was trained on, as in ``zyx_order``.
        transpose: as in ``zyx_order``.
    """
    return _turned(state, lambda sides: zyx_order(orientation[:sides], transpose))


def kernels_from_zyx(state: Mapping[str, torch.Tensor], transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Turn the axes of all kernels back, so that an array in the order X, Y, Z gets the same output, in that order.

    Args:
        state: tensors by key, for arrays in the order Z, Y, X; kernels are (outputs, inputs, sides …).
        transpose: as in ``zyx_order``.
    """
    order = zyx_order("RAS", transpose)
    return _turned(state, lambda sides: tuple(order.index(axis) for axis in range(3)) if sides == 3 else ())


def _turned(state: Mapping[str, torch.Tensor], order_of: Callable[[int], tuple[int, ...]]) -> State:
    """The tensors, kernels with their sides in another order, which depends on how many they are."""
    turned = {}
    for key, value in state.items():
        order = order_of(value.dim() - 2) if value.dim() > 2 else ()
        turned[key] = value.permute(0, 1, *(axis + 2 for axis in order)).contiguous() if order else value
    return turned
