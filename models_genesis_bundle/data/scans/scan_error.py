"""The reason why a scan cannot be used."""

from __future__ import annotations

from monai.config import PathLike

__all__ = ["ScanError"]


class ScanError(ValueError):
    """A scan that cannot be used.

    Args:
        file: the scan's file or folder.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, file: PathLike, found: str, remedy: str, rule: str = "unreadable") -> None:
        super().__init__(str(file), found, remedy)
        self.file, self.found, self.remedy, self.rule = str(file), found, remedy, rule

    def __str__(self) -> str:
        return f"{self.file}: {self.found} {self.remedy}"
