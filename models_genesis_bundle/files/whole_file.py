"""Writing of a file so that its path holds the old content or the whole new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["remove_unfinished", "whole_file"]

_PREFIX = ".unfinished-"
_UNFINISHED = ".part"  # before the suffix, so that no search for the ending of a finished file's name finds it


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; flush it to the disk and rename it when the block ends well.

    A block that fails leaves what stood at ``path`` and removes the temporary file.

    Args:
        path: the file; its folder is made when it is not there.

    Yields:
        The temporary path, with the suffix of ``path`` and a name of this process's own.

    Raises:
        OSError: the file could not be written (a full disk, say); names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stem, suffix = path.stem, path.suffix
    if suffix == ".gz":
        stem, suffix = Path(stem).stem, Path(stem).suffix + suffix
    unfinished = path.with_name(f"{_PREFIX}{os.getpid()}-{stem}{_UNFINISHED}{suffix}")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.filename not in (None, str(unfinished)):
            raise
        raise OSError(error.errno, f"{path} could not be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: str | os.PathLike) -> list[Path]:
    """Remove the temporary files that killed writers left in ``folder``; returns their paths."""
    left = sorted(Path(folder).glob(f"{_PREFIX}*"))
    for path in left:
        path.unlink(missing_ok=True)
    return left
