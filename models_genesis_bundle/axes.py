"""Arguments with one value for all axes, or one for each axis."""

from __future__ import annotations

from typing import Any

from monai.utils import ensure_tuple_rep


def for_each_axis(value: Any, axes: int, name: str) -> tuple[Any, ...]:
    """The value for each axis, from one value or a sequence; a ValueError names the argument if the length is wrong.

    Examples:
        >>> for_each_axis(2, axes=3, name="spacing")
        (2, 2, 2)
    """
    try:
        return ensure_tuple_rep(value, axes)
    except ValueError as error:
        raise ValueError(f"{name}: expected one value or {axes}, one for each axis, found {value}.") from error
