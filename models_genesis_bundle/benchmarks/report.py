"""A measurement's rows, as a table to read and as JSON to keep."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.engines import whole_file

__all__ = ["Row", "as_table", "report"]

Row = dict[str, Any]


def report(
    part: str, machine: Mapping[str, Any], rows: Sequence[Row], json_path: str | os.PathLike | None = None
) -> list[Row]:
    """Print the rows and, where a path is given, write them with the machine they were measured on.

    Args:
        part: what was measured.
        machine: see `describe_machine`; taken before the measurement, which is load itself.
        rows: figures by name; the names carry the units.
        json_path: a file for ``{"part", "machine", "rows"}``; its folder is made.

    Returns:
        The rows.
    """
    where = ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)
    print(f"{part} ({where})\n{as_table(rows)}\n")
    if json_path:
        content = {"part": part, "machine": dict(machine), "rows": list(rows)}
        with whole_file(json_path) as unfinished:
            unfinished.write_text(json.dumps(content, indent=2) + "\n")
    return list(rows)


def as_table(rows: Sequence[Row]) -> str:
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
