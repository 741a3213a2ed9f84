"""Known names that resemble an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["near_names"]


def near_names(name: str, known: Iterable[str], before: str = "", quote: str = "`", cutoff: float = 0.6) -> str:
    """The nearest known name of a misspelt one, or the two nearest, joined by "or"; empty where none resembles it.

    Args:
        name: the misspelt name.
        known: the names that exist.
        before: a prefix of each in the message, such as ``--split::``.
        quote: around each.
        cutoff: the least similarity, from 0 to 1, as ``difflib`` measures it.

    Examples:
        >>> near_names("max_epohcs", ["max_epochs", "seed"], before="--")
        '`--max_epochs`'
    """
    return " or ".join(
        f"{quote}{before}{near}{quote}" for near in get_close_matches(name, list(known), n=2, cutoff=cutoff)
    )
