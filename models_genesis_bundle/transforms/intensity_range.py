"""Checks of a deformation's intensity range."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_intensity_range"]


def check_intensity_range(intensity_range: Sequence[float], name: str) -> tuple[float, float]:
    """The range as two floats.

    Raises:
        ValueError: when it is not two increasing numbers, naming the transform.
    """
    if len(intensity_range) != 2 or not intensity_range[0] < intensity_range[1]:
        raise ValueError(f"{name}: intensity_range must be two increasing numbers, got {intensity_range}.")
    low, high = intensity_range
    return float(low), float(high)
