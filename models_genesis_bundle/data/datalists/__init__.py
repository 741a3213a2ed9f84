"""Which scans there are, of which patients, and how they are split."""

from __future__ import annotations

from monai.config import PathLike

__all__ = ["DatalistError"]


class DatalistError(ValueError):
    """A folder, list or setting that gives no datalist.

    Args:
        source: the file, folder or setting.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, source: PathLike, found: str, remedy: str) -> None:
        super().__init__(str(source), found, remedy)
        self.source, self.found, self.remedy = str(source), found, remedy

    def __str__(self) -> str:
        return f"{self.source}: {self.found} {self.remedy}"
