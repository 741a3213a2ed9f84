"""What an error message says to a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest_name"]


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The end of the message: the nearest known name, or all of them when none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known) or 'none'}."
