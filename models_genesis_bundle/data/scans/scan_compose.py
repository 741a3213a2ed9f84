"""A chain of transforms that lets the reason why a scan cannot be used through as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from monai.transforms import Compose

from models_genesis_bundle.data.scans.scan_error import scan_error_behind

__all__ = ["ScanCompose"]


class ScanCompose(Compose):
    """MONAI's `Compose`, which raises the `ScanError` of a step itself where `Compose` wraps it into a `RuntimeError`.

    The steps stand in one flat list: ``CacheDataset`` takes a nested ``Compose`` for a random transform and caches
    nothing behind it.

    Args:
        transforms: the steps; of a `ScanCompose` among them, its steps.
    """

    def __init__(self, transforms: Sequence[Callable]) -> None:
        nested = [step.transforms if isinstance(step, ScanCompose) else (step,) for step in transforms]
        super().__init__(list(chain.from_iterable(nested)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the steps, as `Compose` does."""
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            cause = scan_error_behind(error)
            if cause is None:
                raise
            raise cause from None
