"""The reason why a scan cannot be used."""

from __future__ import annotations

from monai.config import PathLike

__all__ = ["ScanError", "scan_error_behind"]


class ScanError(ValueError):
    """A scan that cannot be used.

    Args:
        file: the scan's file or folder.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, file: PathLike, found: str, remedy: str) -> None:
        super().__init__(str(file), found, remedy)
        self.file, self.found, self.remedy = str(file), found, remedy

    def __str__(self) -> str:
        return f"{self.file}: {self.found} {self.remedy}"


def scan_error_behind(error: BaseException) -> ScanError | None:
    """The `ScanError` that MONAI wrapped into `error`, once for each transform around it; None for any other error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ScanError):
        cause = cause.__cause__
    return cause
