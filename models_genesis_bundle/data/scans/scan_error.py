"""The reason why a scan cannot be used."""

from __future__ import annotations

from monai.config import PathLike

from models_genesis_bundle.files import printable

__all__ = ["ScanError", "scan_error_behind"]


class ScanError(ValueError):
    """A scan that cannot be used.

    Args:
        file: the scan's file or folder.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
        rule: short identifier of the reason, such as ``constant`` or ``missing_slices``, for logs and tables.
    """

    def __init__(self, file: PathLike, found: str, remedy: str, rule: str = "unreadable") -> None:
        super().__init__(str(file), found, remedy, rule)
        self.file, self.found, self.remedy, self.rule = str(file), found, remedy, rule

    def __str__(self) -> str:
        """The message, which can always be printed: bytes of a file name that are not UTF-8 are escaped."""
        return printable(f"{self.file}: {self.found} {self.remedy}")


def scan_error_behind(error: BaseException) -> ScanError | None:
    """The `ScanError` that MONAI wrapped into `error`, once for each transform around it; None for any other error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ScanError):
        cause = cause.__cause__
    return cause
