"""The summary of a report as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.files import write_json

__all__ = ["in_words", "write_summary"]


def in_words(figure: Mapping[str, float], confidence: float) -> str:
    """A metric (``mean``, ``low``, ``high``, ``n``, and ``missing`` if cases were left out) in words, for the log."""
    left_out = f", {figure['missing']} left out" if figure.get("missing") else ""
    return (
        f"{figure['mean']:.4g} ({100 * confidence:g} % interval {figure['low']:.4g} … {figure['high']:.4g}, "
        f"n = {figure['n']}{left_out})"
    )


def write_summary(path: str | os.PathLike, summary: Mapping[str, Any]) -> Path:
    """Write a summary as JSON, atomically; NaN, which JSON lacks, becomes ``null``.

    Every report's summary has ``metrics``, which maps the name of a metric to its value ``mean``, its interval ``low`` …
    ``high``, the number ``n`` of its cases, and further keys of some metrics.
    """
    return write_json(path, _plain(summary))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
