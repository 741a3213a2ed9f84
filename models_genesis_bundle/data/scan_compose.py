"""A chain of transforms that lets the reason why a scan cannot be used through as it is."""

from __future__ import annotations

from typing import Any

from monai.transforms import Compose

from models_genesis_bundle.data.scan_error import ScanError

__all__ = ["ScanCompose"]


class ScanCompose(Compose):
    """MONAI's `Compose`, which raises the `ScanError` of a step itself where `Compose` wraps it into a `RuntimeError`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the steps, as `Compose` does."""
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, ScanError):
                cause = cause.__cause__
            if cause is None:
                raise
            raise cause from None
