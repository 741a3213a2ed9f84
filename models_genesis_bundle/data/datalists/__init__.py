"""Datalists: the scans of a dataset, their patients, and the split into training, validation and test."""

from __future__ import annotations

from monai.config import PathLike

__all__ = ["DatalistError"]


class DatalistError(ValueError):
    """A folder, list or setting does not give a datalist.

    Args:
        source: the file, folder or setting.
        found: what is wrong with it, as a sentence.
        remedy: what to do about it, as a sentence.
    """

    def __init__(self, source: PathLike, found: str, remedy: str) -> None:
        super().__init__(str(source), found, remedy)
        self.source, self.found, self.remedy = str(source), found, remedy

    def __str__(self) -> str:
        return f"{self.source}: {self.found} {self.remedy}"
