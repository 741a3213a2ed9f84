"""Which intensities weights were pretrained on, and which ones a generated algorithm trains on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["compare_intensities"]

NON_ZERO = "each scan's z-scores over its non-zero voxels"
UNKNOWN = "intensities that are not recorded"


def compare_intensities(preprocessing: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> str:
    """Say in a sentence what a pretrained network saw and what it will see.

    Args:
        preprocessing: the weight file's record (``ScanPreprocessing.record``); None when it has none.
        settings: of a generated algorithm.
    """
    before, here = _pretrained((preprocessing or {}).get("intensity") or {}), _trained(settings)
    if before == here != UNKNOWN:
        return f"Intensities: {here}, as in pretraining."
    return f"Intensities differ: pretrained on {before}; trained here on {here}."


def _pretrained(record: Mapping[str, Any]) -> str:
    mode = record.get("mode")
    if mode == "window":
        return _window(record["lower"], record["upper"])
    if mode == "percentile":
        return f"each scan's {record['lower']:g}th to {record['upper']:g}th percentile as 0 … 1, clipped"
    if mode == "zscore" and record.get("mean") is None:
        return "each scan's z-scores"
    if mode == "zscore":
        return f"z-scores of mean {record['mean']:g} and standard deviation {record['std']:g}"
    return UNKNOWN


def _trained(settings: Mapping[str, Any]) -> str:
    if "normalize_mode" in settings:  # segresnet, segresnet2d
        mode, bounds = str(settings["normalize_mode"]), settings.get("intensity_bounds")
        if mode in ("meanstd", "mri"):
            return NON_ZERO
        if mode in ("range", "ct") and bounds:
            return f"{bounds[0]:g} … {bounds[1]:g} as -1 … 1, through a sigmoid"
        return f"what its normalize_mode {mode} makes"
    for transform in _transforms(settings.get("transforms_train")):  # swinunetr, dints
        if transform["_target_"] == "ScaleIntensityRanged":
            return _window(transform["a_min"], transform["a_max"])
        if transform["_target_"] == "NormalizeIntensityd":
            return NON_ZERO
    return UNKNOWN


def _window(lower: float, upper: float) -> str:
    return f"{lower:g} … {upper:g} as 0 … 1, clipped"


def _transforms(node: Any) -> Iterator[Mapping[str, Any]]:
    """All definitions with a ``_target_`` in a nested one, in their order."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _transforms(child)
