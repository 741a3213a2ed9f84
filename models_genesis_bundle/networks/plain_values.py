"""Arguments of a network as plain values, for JSON and ``weights_only`` loading."""

from __future__ import annotations

from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """A layer's description, such as ``("instance", {"affine": True})``, with lists instead of tuples."""
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value
