"""A configuration as plain values by their places, to compare it with another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

__all__ = ["is_below", "leaves"]


def leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a configuration that hold no further ones, with their places.

    Args:
        node: mappings and lists; a tuple counts as a list. An empty one is a value.
        place: of the node itself.

    Examples:
        >>> list(leaves({"split": {"seed": 0}, "patch_size": [64, 32]}))
        [('split::seed', 0), ('patch_size::0', 64), ('patch_size::1', 32)]
    """
    if isinstance(node, Mapping | list | tuple) and node:
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from leaves(value, f"{place}::{name}" if place else str(name))
    else:
        yield place, list(node) if isinstance(node, tuple) else node


def is_below(place: str, others: Collection[str]) -> bool:
    """Whether a place is one of the others, or within one.

    Examples:
        >>> is_below("split::seed", ["split"])
        True
    """
    return any(place == other or place.startswith(f"{other}::") for other in others)
