"""Atomic writing: a path has the old content or the whole new one."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import secrets
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["remove_unfinished", "whole_file"]

_PREFIX = ".unfinished-"
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_UNFINISHED = ".part"  # before the suffix, so that no search by the ending of finished files finds it


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; flush and rename it when the block succeeds.

    A block that fails does not change the file at ``path``, and removes the temporary file. A new file gets the permissions
    that the process's ``umask`` leaves; a file that is replaced keeps its own. A link at ``path`` is replaced, not followed.

    The first file that a process writes in a folder also removes the temporary files that killed processes left there.

    Args:
        path: the file; its folder is created if missing.

    Yields:
        The temporary path, with the suffix of ``path`` and a random name.

    Raises:
        OSError: the file could not be written (a full disk, say); names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(os.path.abspath(path.parent))
    unfinished = descriptor = None
    try:
        unfinished, descriptor = _create(path)
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.filename is not None and _PREFIX not in os.fsdecode(error.filename):
            raise
        raise OSError(error.errno, f"{path} could not be written: {error.strerror or error}") from error
    finally:
        if unfinished is not None and descriptor is not None:
            unfinished.unlink(missing_ok=True)
            os.close(descriptor)


def remove_unfinished(folder: str | os.PathLike, shared: bool = False) -> list[Path]:
    """Remove the temporary files that killed writers left in ``folder``; one that is being written stays.

    Args:
        folder: where to look; folders below it are not searched.
        shared: whether other computers may be writing there now. Their files are kept, since not every file system shares locks
            between computers.

    Returns:
        The paths that were removed.
    """
    removed = []
    for path in sorted(Path(folder).glob(f"{_PREFIX}{_HOST if shared else ''}*")):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                locked = _lock(descriptor)
                if locked or (locked is None and not shared):
                    path.unlink()
                    removed.append(path)
            finally:
                os.close(descriptor)
    return removed


@functools.cache
def _sweep(folder: str) -> None:
    """Once a process, since a folder may hold a hundred thousand files."""
    remove_unfinished(folder, shared=True)


def _create(path: Path) -> tuple[Path, int]:
    """Create a temporary file for ``path``, and lock it for as long as its descriptor is open."""
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    while True:
        unfinished = path.with_name(f"{_PREFIX}{_HOST}-{secrets.token_hex(8)}{_UNFINISHED}{suffix}")
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)  # follows no link
        if _lock(descriptor) is not False and unfinished.exists():
            break
        os.close(descriptor)  # another process removed it as unfinished before it was locked
    with contextlib.suppress(OSError):
        replaced = path.lstat().st_mode
        if stat.S_ISREG(replaced):
            unfinished.chmod(stat.S_IMODE(replaced))
    return unfinished, descriptor


def _lock(descriptor: int) -> bool | None:
    """Whether this process has locked the file; None where files cannot be locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return None
    return True
