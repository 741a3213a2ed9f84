"""Foresight of a disk that will be full."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

__all__ = ["DiskSpace"]


class DiskSpace:
    """Compares what files need, judged by those that are written, with what is free.

    Args:
        folder: where the files go.
        count: how many files there will be at most.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.left = count
        self.written: list[int] = []

    def require(self, size: int) -> None:
        """Count a written file of `size` bytes.

        Raises:
            OSError: files of this average size will not all fit.
        """
        self.left -= 1
        self.written.append(size)
        needed = self.left * sum(self.written) / len(self.written)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"{self.folder}: {self.left} more volumes need about {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are "
                "free. Free some space, or set another cache_dir; what is prepared is kept",
            )
