"""What messages share: lists of names, and the causes of errors."""

from __future__ import annotations

from collections.abc import Sequence

# What MONAI wraps an error in, a layer for each component and transform that it arose in.
_WRAPPERS = ("Failed to ", "applying transform ")


def first_of(texts: Sequence[str], most: int = 5, separator: str = ", ") -> str:
    """The first texts, and how many more there are.

    Examples:
        >>> first_of(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def causes(error: BaseException) -> list[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    return [error] if error.__cause__ is None else [error, *causes(error.__cause__)]


def unwrapped(error: BaseException) -> BaseException:
    """The error without MONAI's wrappers."""
    found = causes(error)
    while len(found) > 1 and isinstance(found[0], RuntimeError) and str(found[0]).startswith(_WRAPPERS):
        del found[0]
    return found[0]
