"""Datasets that skip unusable scans, or stop at the first one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from models_genesis_bundle.data.scans.labelled_preprocessing import UnknownLabelsError
from models_genesis_bundle.data.scans.preprocessing import NOT_IN_HU_KEY, ScanCompose
from models_genesis_bundle.data.scans.quality import scaled_as_ct
from models_genesis_bundle.data.scans.raw_scan import ScanError, scan_error_in
from monai.data import CacheDataset
from torch.utils.data import Dataset
from tqdm import tqdm

logger = logging.getLogger(__name__)

SKIPPED = "skipped"


class SkippedScansError(RuntimeError):
    """No scan, or not every scan, could be used; the message has the reasons."""


class SkipUnreadable(Dataset):
    """Dataset that returns a note for an item whose scan cannot be used; `ScanEvaluator` ignores these notes.

    Only a `ScanError` gives a note. `UnknownLabelsError`, which wrong settings may cause, and all other errors are raised. The
    log warns of the first scan that is scaled as CT in HU but looks like something else, such as MR.

    Args:
        dataset: a dataset whose list ``data`` has the path of each scan under ``image``.
        on_unreadable: ``"skip"``, or ``"raise"`` to raise the first `ScanError`.

    Shape:
        The item of `dataset`, or ``{"skipped": {"image": path, "reason": text}}``.

    Raises:
        ValueError: `on_unreadable` has another value.
    """

    def __init__(self, dataset: Any, on_unreadable: str = "skip") -> None:
        require_on_unreadable(on_unreadable)
        self.dataset = dataset
        self.on_unreadable = on_unreadable
        self.warned = False

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        image = str(self.dataset.data[index]["image"])
        try:
            item = self.dataset[index]
        except Exception as error:
            return {SKIPPED: {"image": image, "reason": _skip_reason(image, error, self.on_unreadable)}}
        if not self.warned and (kind := _other_unit(item)):
            self.warned = True
            logger.warning(
                "%s is %s, but it is scaled as CT in HU, as the weights record. Use weights of its modality, such as "
                "models/model_mr.pt for MR.",
                image,
                kind,
            )
        return item


def _other_unit(item: Mapping[str, Any]) -> str:
    """The kind of intensities of a scan that is scaled as CT in HU but is something else; otherwise an empty text."""
    return getattr(item["image"], "meta", {}).get(NOT_IN_HU_KEY, "")


def require_on_unreadable(on_unreadable: str) -> None:
    """Raise a `ValueError` for a setting that is neither ``skip`` nor ``raise``."""
    if on_unreadable not in ("skip", "raise"):
        raise ValueError(f"on_unreadable must be skip or raise, got {on_unreadable!r}.")


def _skip_reason(image: str, error: Exception, on_unreadable: str) -> str:
    """The reason to skip a scan, with the name of the rule; raises an error that does not allow this."""
    refusal = scan_error_in(error)
    if refusal is None:
        raise error
    if on_unreadable == "raise" or isinstance(refusal, UnknownLabelsError):
        raise refusal from None
    return str(refusal).removeprefix(f"{image}: ") + f" [{refusal.rule}]"


def skipped_text(skipped: Mapping[str, str], total: int) -> str:
    """A line with the number of skipped scans, and a line for each skipped scan with the reason."""
    count = f"{len(skipped)} of {total} scans could not" if len(skipped) < total else f"None of the {total} scans could"
    return "\n".join([f"{count} be used:", *(f"  {image}: {reason}" for image, reason in skipped.items())])


class ReadableScans(CacheDataset):
    """MONAI's `CacheDataset` without the scans that cannot be used; the log lists these scans.

    The dataset reads every scan once at the start, even if it does not keep the scan in memory. Therefore the list of scans is
    the same in all processes and after a restart. The log warns of scans that are scaled as CT in HU but look like something
    else, such as MR.

    Args:
        data: items with the path of a scan under ``image``.
        transform: the preparation, without random steps; raises `ScanError` if a scan or its label cannot be used.
        on_unreadable: ``"skip"``, or ``"raise"`` to stop at the first scan that cannot be used.
        cache_rate: fraction of the scans to keep in memory.
        num_workers: number of threads that read scans.
        foreground_key: key of the list of foreground voxels, see `PatchCentresd`; at least one scan must have foreground.

    Attributes:
        data: the usable items.
        skipped: the reasons to skip the other scans, by path.

    Raises:
        ScanError: a scan cannot be used, with ``"raise"``.
        SkippedScansError: no scan can be used.
        ValueError: `on_unreadable` has another value, or no label has foreground.
    """

    data: list[Mapping[str, Any]]
    cache_num: int

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
        self.other_units: dict[str, str] = {}
        super().__init__(data, transform, cache_rate=cache_rate, num_workers=num_workers)

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list[Any]:
        total = len(self.data)

        def load(index: int) -> Any:
            item = self._load_cache_item(index)
            return item if index < self.cache_num else None

        with ThreadPoolExecutor(self.num_workers) as pool:  # waits for its threads, also after an error
            cache = list(tqdm(pool.map(load, range(total)), total=total, desc="Loading dataset"))
        usable = [str(item["image"]) not in self.skipped for item in self.data]
        self.data = [item for item, good in zip(self.data, usable, strict=True) if good]
        if self.skipped and not self.data:
            raise SkippedScansError(skipped_text(self.skipped, total))
        if self.skipped:
            logger.warning("%s", skipped_text(self.skipped, total))
        if self.foreground_key is not None and not self.has_foreground:
            raise ValueError(
                f"All voxels of all {len(self.data)} training labels are 0 (background); the first label is "
                f"{self.data[0].get('label')}. Check the paths of the labels, and check that "
                "labelled_preprocessing::label_map does not map all labels to 0."
            )
        if self.other_units:
            logger.warning(
                "%s Add configs/data_mr.yaml, which uses the percentiles of each scan, and start from weights of the same "
                "modality, such as models/model_mr.pt for MR.",
                scaled_as_ct(self.other_units.values(), len(self.data)),
            )
        kept = [item for item, good in zip(cache[: self.cache_num], usable, strict=False) if good]
        self.cache_num = len(kept)
        return kept

    def _load_cache_item(self, idx: int) -> Any:
        try:
            item = super()._load_cache_item(idx)
        except ScanError as error:
            image = str(self.data[idx]["image"])
            self.skipped[image] = _skip_reason(image, error, self.on_unreadable)
            return None
        if self.foreground_key is not None and len(item[self.foreground_key]):
            self.has_foreground = True
        if kind := _other_unit(item):
            self.other_units[str(self.data[idx]["image"])] = kind
        return item
