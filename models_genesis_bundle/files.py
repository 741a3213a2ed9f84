"""Files: written atomically, so that a path has either the old content or the complete new content, and read as text."""

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
_LONGEST_WRITE = 24 * 3600  # seconds, after which an unfinished file is that of a killed process


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; flush and rename it when the block succeeds.

    A block that fails does not change the file at ``path``, and removes the temporary file. A new file gets the permissions
    that the process's ``umask`` leaves; a file that is replaced keeps its own. A link at ``path`` is replaced, not followed.

    The first file that a process writes in a folder also removes the temporary files there that are older than a day.

    Args:
        path: the file; its folder is created if missing.

    Yields:
        The temporary path, with the suffix of ``path`` and a random name.

    Raises:
        OSError: the file could not be written (a full disk, say); the message names ``path``.
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
    """Remove the temporary files that killed writers left in ``folder``, but not in the folders below it.

    Args:
        folder: where to look.
        older_than: seconds since the last change of a file; with 0, nobody else may be writing in the folder.

    Returns:
        The paths that were removed.
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
    """Once a process, since a folder may hold a hundred thousand files."""
    remove_unfinished(folder, _LONGEST_WRITE)


def move_to_previous(paths: Iterable[Path], folder: Path) -> Path:
    """Move files and folders of an earlier run into a new folder ``previous/<number>`` of ``folder``, which is returned."""
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

    Returns:
        The path.

    Raises:
        TypeError: a value that JSON cannot hold; the file at ``path`` is not changed.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    with whole_file(path) as unfinished:
        # A file name that is not UTF-8 is a str with lone surrogates, which JSON can write as \udcxx.
        unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_table(path: str | os.PathLike, rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> Path:
    """Write rows as a CSV file, atomically.

    Args:
        path: the CSV file; its folder is created if missing.
        rows: mappings of column to value. The columns are ``columns`` and all others, in the order of their first
            appearance; a missing column or a None is an empty cell. Floats get eight significant digits.
        columns: the first columns, also of a table without rows.

    Returns:
        The path.
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
    """The text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark; invalid bytes of UTF-8 are kept."""
    data = Path(path).read_bytes()
    return data.decode(json.detect_encoding(data), errors="surrogateescape")


def file_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits, as ``sha256sum`` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(name: str | os.PathLike) -> str:
    """The text with bytes that are not UTF-8 written as escapes, for logs, tables and pictures.

    Python keeps such bytes as lone surrogates, which UTF-8 cannot hold.
    """
    return os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")
