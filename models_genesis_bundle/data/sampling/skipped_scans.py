"""Scans that cannot be used: passed over one by one, named with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from models_genesis_bundle.data.scans.load_label import UnknownLabelsError
from models_genesis_bundle.data.scans.scan_error import scan_error_behind

__all__ = ["SKIPPED", "SkipUnreadable", "SkippedScansError", "require_on_unreadable", "skip_reason", "skipped_text"]

SKIPPED = "skipped"


class SkippedScansError(RuntimeError):
    """Scans could not be used; the message names each of them with its reason."""


class SkipUnreadable(Dataset):
    """Dataset that gives a note instead of an item where the scan cannot be used; `ScanEvaluator` passes over it.

    Only a `ScanError` is noted. Any other error, such as lack of memory, is raised, and so is `UnknownLabelsError`: to
    skip what the settings have no class for would train on the rest without a class.

    Args:
        dataset: a dataset whose list ``data`` holds the path of each scan under ``image``.
        on_unreadable: ``"skip"``, or ``"raise"`` to raise the first `ScanError`.

    Shape:
        Result: the item of `dataset`, or ``{"skipped": {"image": path, "reason": text}}``.

    Raises:
        ValueError: another value of `on_unreadable`.
    """

    def __init__(self, dataset: Any, on_unreadable: str = "skip") -> None:
        require_on_unreadable(on_unreadable)
        self.dataset = dataset
        self.on_unreadable = on_unreadable

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            image = str(self.dataset.data[index]["image"])
            return {SKIPPED: {"image": image, "reason": skip_reason(image, error, self.on_unreadable)}}


def require_on_unreadable(on_unreadable: str) -> None:
    """Refuse a setting that is neither ``skip`` nor ``raise``.

    Raises:
        ValueError: naming both.
    """
    if on_unreadable not in ("skip", "raise"):
        raise ValueError(f"on_unreadable must be skip or raise, got {on_unreadable!r}.")


def skip_reason(image: str, error: Exception, on_unreadable: str) -> str:
    """Why a scan is skipped: what is wrong with it or its label, and the name of the rule that says so.

    Args:
        image: the scan.
        error: what was raised when it was read.
        on_unreadable: ``"skip"`` or ``"raise"``.

    Raises:
        Exception: `error` itself, or the `ScanError` in it, where the scan must not be skipped: the file is not at fault,
            or is not for certain, or `on_unreadable` is ``"raise"``.
    """
    refusal = scan_error_behind(error)
    if refusal is None:
        raise error
    if on_unreadable == "raise" or isinstance(refusal, UnknownLabelsError):
        raise refusal from None
    rule = getattr(refusal, "rule", None)
    return str(refusal).removeprefix(f"{image}: ") + (f" [{rule}]" if rule else "")


def skipped_text(skipped: Mapping[str, str], total: int) -> str:
    """How many scans could not be used, then a line for each.

    Args:
        skipped: the reasons by the scans' paths.
        total: number of scans, with those that could be used.
    """
    some = len(skipped) < total
    head = (
        f"{len(skipped)} of {total} scans could not be used:" if some else f"None of the {total} scans could be used:"
    )
    return "\n".join([head, *(f"  {image}: {reason}" for image, reason in skipped.items())])
