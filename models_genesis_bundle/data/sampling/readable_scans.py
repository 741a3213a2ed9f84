"""A cache of prepared scans without those that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from multiprocessing.pool import ThreadPool
from typing import Any

from monai.data import CacheDataset
from tqdm import tqdm

from models_genesis_bundle.data.sampling.skipped_scans import (
    SkippedScansError,
    require_on_unreadable,
    skip_reason,
    skipped_text,
)
from models_genesis_bundle.data.scans.scan_compose import ScanCompose
from models_genesis_bundle.data.scans.scan_error import ScanError

__all__ = ["ReadableScans"]

logger = logging.getLogger(__name__)


class ReadableScans(CacheDataset):
    """MONAI's `CacheDataset` without the scans that cannot be used, which are named in the log.

    Every scan is read once when the dataset is made, also those that are not kept in memory, so that the list of scans
    is the same in all processes and after a restart.

    Args:
        data: items with the path of a scan under ``image``.
        transform: the preparation, without random steps; raises `ScanError` where a scan or its label cannot be used.
        on_unreadable: ``"skip"``, or ``"raise"`` to stop at the first scan that cannot be used.
        cache_rate: share of the scans that is kept in memory.
        num_workers: threads that read.
        foreground_key: what the preparation lists the voxels of the foreground under, as `PatchCentresd` does; at least one
            scan must have some.

    Attributes:
        data: the items that can be used.
        skipped: the reasons by the paths of the others.

    Raises:
        ScanError: a scan that cannot be used, with ``"raise"``.
        SkippedScansError: none of the scans can be used.
        ValueError: another value of `on_unreadable`, or none of the labels has foreground.
    """

    data: list[Mapping[str, Any]]

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: ScanCompose,
        on_unreadable: str = "skip",
        cache_rate: float = 1.0,
        num_workers: int = 1,
        foreground_key: str | None = None,
    ) -> None:
        require_on_unreadable(on_unreadable)
        self.on_unreadable = on_unreadable
        self.skipped: dict[str, str] = {}
        self.foreground_key = foreground_key
        self.has_foreground = False
        super().__init__(data, transform, cache_rate=cache_rate, num_workers=num_workers)

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list[Any]:
        cache = super()._fill_cache(indices)
        rest = range(len(cache), len(self.data))
        with ThreadPool(self.num_workers) as pool:
            for _ in tqdm(pool.imap(self._check, rest), total=len(rest), desc="Checking scans", disable=not rest):
                pass
        total = len(self.data)
        usable = [str(item["image"]) not in self.skipped for item in self.data]
        self.data = [item for item, good in zip(self.data, usable, strict=True) if good]
        if self.skipped and not self.data:
            raise SkippedScansError(skipped_text(self.skipped, total))
        if self.skipped:
            logger.warning("%s", skipped_text(self.skipped, total))
        if self.foreground_key is not None and not self.has_foreground:
            raise ValueError(
                f"None of the {len(self.data)} training labels has a voxel of a class, first {self.data[0].get('label')}: "
                "all are 0. There is nothing to learn. Look whether the paths of the labels are right, and whether "
                "labelled_preprocessing::label_map makes 0 of what is there."
            )
        kept = [item for item, good in zip(cache, usable, strict=False) if good]
        self.cache_num = len(kept)
        return kept

    def _check(self, index: int) -> None:
        self._load_cache_item(index)

    def _load_cache_item(self, idx: int) -> Any:
        try:
            item = super()._load_cache_item(idx)
        except ScanError as error:
            image = str(self.data[idx]["image"])
            self.skipped[image] = skip_reason(image, error, self.on_unreadable)
            return None
        if self.foreground_key is not None and len(item[self.foreground_key]):
            self.has_foreground = True
        return item
