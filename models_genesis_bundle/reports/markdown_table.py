"""Rows of figures as a table that reads well in a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_table"]


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown, columns aligned; a figure that a row lacks is left empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {name: all(isinstance(row.get(name, 0), int | float) for row in rows) for name in names}
    lines = [[name.replace("_", " ") for name in names], *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    padded = [
        [
            cell.rjust(width) if numeric[name] else cell.ljust(width)
            for cell, width, name in zip(line, widths, names, strict=True)
        ]
        for line in lines
    ]
    rule = [
        "-" * (width - 1) + ":" if numeric[name] else "-" * width for width, name in zip(widths, names, strict=True)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
