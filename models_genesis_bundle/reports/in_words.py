"""A figure as a line of text."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["in_words"]


def in_words(figure: Mapping[str, float], confidence: float) -> str:
    """A figure with its interval and the number of cases behind it, for the log.

    Args:
        figure: ``mean``, ``low``, ``high`` and ``n``; ``missing`` where cases were left out.
        confidence: of the interval, 0 … 1.
    """
    left_out = f", {figure['missing']} left out" if figure.get("missing") else ""
    return (
        f"{figure['mean']:.4g} ({100 * confidence:g} % interval {figure['low']:.4g} … {figure['high']:.4g}, "
        f"n = {figure['n']}{left_out})"
    )
