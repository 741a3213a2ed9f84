"""JSON files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from models_genesis_bundle.files.whole_file import whole_file

__all__ = ["write_json"]


def write_json(path: str | os.PathLike, content: Any, allow_nan: bool = True) -> Path:
    """Write plain values as a JSON file in UTF-8, atomically.

    Text that is not Unicode, as in old file names, is written with JSON's escapes and is read back unchanged.

    Args:
        path: the file; its folder is created if missing.
        content: mappings, lists, strings, numbers, booleans and None.
        allow_nan: False: refuse NaN and infinities, which JSON's specification (RFC 8259) lacks.

    Returns:
        The path.

    Raises:
        TypeError: a value that JSON cannot hold; the file at ``path`` is not changed.
        ValueError: NaN or an infinity, with ``allow_nan=False``.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=allow_nan)
    with whole_file(path) as unfinished:
        # A file name that is not UTF-8 is a str with lone surrogates, which JSON can write as \udcxx.
        unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(path)
