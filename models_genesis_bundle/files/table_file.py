"""Tables as CSV files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models_genesis_bundle.files.whole_file import whole_file

__all__ = ["write_table"]


def write_table(path: str | os.PathLike, rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> Path:
    """Write rows as a CSV file, atomically.

    Args:
        path: the CSV file; its folder is created if missing.
        rows: mappings of column to value. The columns are ``columns`` and all others, in the order of their first
            appearance; a missing column or a None is an empty cell. Floats get eight
            significant digits.
        columns: the first columns, also of a table without rows.

    Returns:
        The path.
    """
    rows = list(rows)
    columns = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return Path(path)


def _cell(value: object) -> object:
    return f"{value:.8g}" if isinstance(value, float) else value
