"""Parts of messages: lists of names, and the causes of errors."""

from __future__ import annotations

from collections.abc import Sequence

_WRAPPERS = ("Failed to ", "applying transform ")  # MONAI wraps an error once for each component and transform


def first_of(texts: Sequence[str], most: int = 5, separator: str = ", ") -> str:
    """The first texts, and the number of the others.

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
    while error.__cause__ is not None and isinstance(error, RuntimeError) and str(error).startswith(_WRAPPERS):
        error = error.__cause__
    return error
