"""What messages share."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_of"]


def first_of(texts: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first texts, and how many more there are.

    Examples:
        >>> first_of(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more
