"""A sequence of transforms of scans, and the error of a scan that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from models_genesis_bundle.files import printable
from models_genesis_bundle.messages import causes
from monai.config import PathLike
from monai.transforms import Compose

__all__ = ["ScanCompose", "ScanError", "scan_error_in"]


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
        """The message; bytes of a file name that are not UTF-8 are escaped, so that it can always be printed."""
        return printable(f"{self.file}: {self.found} {self.remedy}")


def scan_error_in(error: BaseException) -> ScanError | None:
    """The `ScanError` that MONAI wrapped into `error`, once for each transform around it; None for any other error."""
    return next((cause for cause in causes(error) if isinstance(cause, ScanError)), None)


class ScanCompose(Compose):
    """MONAI's `Compose`, which raises the `ScanError` of a step instead of a `RuntimeError` around it.

    The steps are in one flat list, because ``CacheDataset`` takes a nested ``Compose`` for a random transform and caches
    nothing after it.

    Args:
        transforms: the steps; the steps of a `ScanCompose` among them are inserted.
    """

    def __init__(self, transforms: Sequence[Callable]) -> None:
        nested = [step.transforms if isinstance(step, ScanCompose) else (step,) for step in transforms]
        super().__init__(list(chain.from_iterable(nested)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the steps, as `Compose` does."""
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            cause = scan_error_in(error)
            if cause is None:
                raise
            raise cause from None
