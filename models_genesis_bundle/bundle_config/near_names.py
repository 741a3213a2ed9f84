"""What somebody may have meant who wrote a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["near_names"]


def near_names(name: str, known: Iterable[str], before: str = "", quote: str = "`", cutoff: float = 0.6) -> str:
    """The known names that are like a misspelt one, for a message: the nearest, or the two nearest.

    Args:
        name: the name as it was written.
        known: the names that exist.
        before: stands before each, such as ``--split::``.
        quote: stands around each.
        cutoff: how alike they must be, from 0 to 1, as ``difflib`` measures it.

    Returns:
        The names, joined by "or"; empty where none is like it.

    Examples:
        >>> near_names("max_epohcs", ["max_epochs", "seed"], before="--")
        '`--max_epochs`'
    """
    return " or ".join(
        f"{quote}{before}{near}{quote}" for near in get_close_matches(name, list(known), n=2, cutoff=cutoff)
    )
