"""From the patient's axes to those in which a network sees scans, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from nibabel.orientations import axcodes2ornt

__all__ = ["Axes", "upright_window"]


def upright_window(codes: str, window: Sequence[int]) -> tuple[int, ...]:
    """The sides of a window along right, front and head.

    Args:
        codes: of the axes along which `window` has them, such as ``"SPL"``.
        window: sides in voxels.
    """
    return tuple(side for _, side in sorted(zip(map(_place, codes), window, strict=True)))


@dataclass(frozen=True)
class Axes:
    """How arrays (n, C, X, Y[, Z]) along right, front and head are turned to other axes.

    Args:
        codes: of the other axes, such as ``"LPS"``; of slices two, such as ``"LP"``.

    Examples:
        >>> axes = Axes("SA")  # sagittal slices, first from feet to head
        >>> axes.turned(torch.zeros(1, 1, 4, 6)).shape
        torch.Size([1, 1, 6, 4])
    """

    codes: str

    @classmethod
    def of(cls, codes: str, window: Sequence[int]) -> Axes:
        """The axes of a network's cubes.

        Args:
            codes: of the axes of its scans.
            window: sides of the cubes along right, front and head; the axes along which they are one voxel thick are left out.
        """
        return cls("".join(code for code in codes if window[_place(code)] > 1))

    def turned(self, arrays: torch.Tensor) -> torch.Tensor:
        """The arrays along the other axes."""
        order, backwards = self._turn()
        return arrays.permute(0, 1, *order).flip(backwards)

    def turned_back(self, arrays: torch.Tensor) -> torch.Tensor:
        """The arrays along right, front and head."""
        order, backwards = self._turn()
        return arrays.flip(backwards).permute(0, 1, *(2 + int(place) for place in np.argsort(order)))

    def _turn(self) -> tuple[list[int], list[int]]:
        labels = [ends for ends in RAS_LABELS if set(ends) & set(self.codes)]
        turn = axcodes2ornt(tuple(self.codes), labels).astype(int)
        return [2 + int(axis) for axis in turn[:, 0]], [2 + int(axis) for axis in np.flatnonzero(turn[:, 1] < 0)]


def _place(code: str) -> int:
    return next(place for place, ends in enumerate(RAS_LABELS) if code in ends)
