"""A measurement's rows, as a table to read and as JSON to keep."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.files import write_json
from models_genesis_bundle.reports import as_table

__all__ = ["Row", "report"]

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
        write_json(json_path, {"part": part, "machine": dict(machine), "rows": list(rows)})
    return list(rows)
