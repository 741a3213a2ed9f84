"""TEMPORARY until merged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ScanFacts:
    shape: tuple

    @classmethod
    def of(cls, image) -> ScanFacts:
        return cls(tuple(image.shape[1:]))

    def record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record):
        return cls(tuple(record["shape"]))


def quality_rule(facts):
    if len(facts.shape) == 3 and min(facts.shape) < 3:
        return ("few_slices", f"its shape {facts.shape} has an axis of fewer than 3 voxels.")
    return None


def odd_intensity_kinds(facts):
    return {}
