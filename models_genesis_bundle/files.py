"""Reading files, and writing them atomically: a path has either the old content or the complete new content."""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_MARKER = ".models_genesis_run"  # a file in every folder of results: such a folder is not searched for scans

_PREFIX = ".unfinished-"
_LONGEST_WRITE = 24 * 3600  # seconds; an older unfinished file is from a killed process


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; flush and rename the file when the block succeeds.

    If the block fails, the file at ``path`` does not change and the temporary file is removed. A file keeps its permissions
    when it is replaced. A link at ``path`` is replaced, not followed. When a process first writes in a folder, temporary
    files there that are older than a day are removed.

    Args:
        path: the file; its folder is created if missing.

    Yields:
        The temporary path, with the suffix of ``path`` and a random name.

    Raises:
        OSError: the file could not be written, for example because the disk is full; the message names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old(os.path.abspath(path.parent))
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    # ".part" comes before the suffix, so that no search for the ending of finished files finds it.
    unfinished = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}.part{suffix}")
    try:
        unfinished.touch(exist_ok=False)  # follows no link
        if not path.is_symlink():
            with contextlib.suppress(OSError):  # there may be no file yet
                shutil.copymode(path, unfinished)
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.filename is not None and _PREFIX not in os.fsdecode(error.filename):
            raise
        raise OSError(error.errno, f"{path} could not be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: str | os.PathLike, older_than: float = 0.0) -> list[Path]:
    """Remove the temporary files of killed processes in ``folder``, but not in its subfolders, and return their paths.

    Args:
        folder: where to look.
        older_than: seconds since the last change of a file; with 0, no other process may be writing in the folder.
    """
    removed = []
    for path in sorted(Path(folder).glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime >= older_than:
                path.unlink()
                removed.append(path)
    return removed


@functools.cache
def _remove_old(folder: str) -> None:
    """Remove old files once in a process, because a folder may contain a hundred thousand files."""
    remove_unfinished(folder, _LONGEST_WRITE)


def move_to_previous(paths: Iterable[Path], folder: Path) -> Path:
    """Move files and folders of an earlier run into a new folder ``previous/<number>`` of ``folder``; return that folder."""
    previous = folder / "previous"
    previous.mkdir(exist_ok=True)
    taken = [int(path.name) for path in previous.iterdir() if path.name.isdigit()]
    aside = previous / str(max(taken, default=0) + 1)
    aside.mkdir()
    for path in paths:
        shutil.move(path, aside / path.name)
    return aside


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Write plain values as a JSON file in UTF-8, atomically.

    Text that is not Unicode, as in old file names, is written with JSON's escapes and is read back unchanged.

    Args:
        path: the file; its folder is created if missing.
        content: mappings, lists, strings, numbers, booleans and None.

    Raises:
        TypeError: JSON does not support a value; the file at ``path`` does not change.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    with whole_file(path) as unfinished:
        # Python represents bytes of file names that are not UTF-8 as lone surrogates; JSON can write them as \udcxx.
        unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_table(path: str | os.PathLike, rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> Path:
    """Write rows as a CSV file, atomically.

    Args:
        path: the CSV file; its folder is created if missing.
        rows: mappings of column to value. A missing value or None gives an empty cell. Floats get 8 significant digits.
        columns: the first columns; the others follow in the order of their first appearance.
    """
    rows = [
        {name: f"{value:.8g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return Path(path)


def read_unicode(path: str | os.PathLike) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark; keeps invalid bytes of UTF-8."""
    data = Path(path).read_bytes()
    return data.decode(json.detect_encoding(data), errors="surrogateescape")


def file_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(name: str | os.PathLike) -> str:
    """The text for logs, tables and pictures, with escapes for bytes that are not UTF-8."""
    return os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")
