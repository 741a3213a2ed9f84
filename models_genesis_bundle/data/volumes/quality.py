"""Named rules that leave a scan out of pretraining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import nibabel
import numpy as np
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing

__all__ = [
    "CT_IN_HU",
    "INTENSITY_KIND_RULE",
    "NOT_IN_HU",
    "PERCENTILES",
    "ScanFacts",
    "intensity_kind",
    "odd_intensity_kinds",
    "quality_rule",
    "thinned",
]

PERCENTILES = (0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)
INTENSITY_KIND_RULE = "intensity_kind"
CT_IN_HU = "CT in HU"
NOT_IN_HU = "not in HU"

_CT_NOT_IN_HU = "CT not in HU"
_MODALITY_NAMES = {
    **dict.fromkeys(("CR", "DR", "DX", "RG", "XR"), "X-ray"),
    **dict.fromkeys(("OT", "SC", "UNKNOWN"), ""),  # codespell:ignore
    "MRI": "MR",
    "PET": "PT",
}
_MOST_VOXELS = 2_000_000
_FEWEST_SLICES = 3
_LARGEST_PADDING = 0.95
_MOST_LABELS = 32
_LOCALISER_SLICES = 5
_LOCALISER_GAP = 7.0  # mm
_LOCALISER_RATIO = 3.0

# CT in HU has fat, lung or air well below 0, but nothing below the values that scanners pad with.
_FAT = -100.0
_AIR = -200.0
_LOWEST_PADDING = -3100.0
_HIGHEST_MEDIAN = 700.0
_SMALLEST_SPREAD = 20.0
# A crop of soft tissue without fat or air has no voxel below 0 HU, and none dark or bright.
_SOFT_TISSUE_CROP = {0.5: (10.0, np.inf), 50.0: (20.0, 150.0), 99.5: (-np.inf, 400.0)}


@dataclass(frozen=True)
class ScanFacts:
    """The properties of one scan that the rules and the planning use."""

    shape: tuple[int, ...]  # voxels along the axes that are closest to right, front and head; two in 2D
    spacing: tuple[float, ...]  # side of a voxel along the same axes, in mm
    modality: str  # as in the header, such as "CT" or "MR", or ""
    minimum: float
    maximum: float
    percentiles: tuple[float, ...]  # at `PERCENTILES`
    padding: float  # share of the voxels that have the most frequent value

    @classmethod
    def of(cls, image: MetaTensor) -> ScanFacts:
        """The facts of the first channel of an unscaled scan from `LoadScand`; percentiles are of about 2 million voxels."""
        voxels = image.as_tensor()[0]
        order = np.argsort(nibabel.io_orientation(np.asarray(image.affine))[:, 0])
        spacing = affine_to_spacing(image.affine, r=voxels.ndim)
        values = np.sort(thinned(voxels.numpy(), _MOST_VOXELS))
        changes = np.flatnonzero(np.diff(values)) + 1
        longest = int(np.diff(changes, prepend=0, append=len(values)).max())
        return cls(
            shape=tuple(int(voxels.shape[axis]) for axis in order),
            spacing=tuple(float(spacing[axis]) for axis in order),
            modality=str(image.meta.get("modality") or "").strip().upper(),
            minimum=float(voxels.min()),
            maximum=float(voxels.max()),
            percentiles=tuple(float(value) for value in np.percentile(values, PERCENTILES)),
            padding=longest / len(values),
        )

    def percentile(self, number: float) -> float:
        """The value at one of `PERCENTILES`."""
        return self.percentiles[PERCENTILES.index(number)]

    def record(self) -> dict[str, Any]:
        """Plain values for JSON, which `from_record` reads."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ScanFacts:
        """The facts of a `record`, also after JSON has made lists of the tuples."""
        return cls(**{**record, **{name: tuple(record[name]) for name in ("shape", "spacing", "percentiles")}})


def thinned(voxels: np.ndarray, most: int) -> np.ndarray:
    """At most about `most` voxels of a scan, at even steps along all axes, in one row."""
    step = int(np.ceil((voxels.size / most) ** (1 / voxels.ndim)))
    return voxels[(slice(None, None, max(step, 1)),) * voxels.ndim].ravel()


def quality_rule(facts: ScanFacts) -> tuple[str, str] | None:
    """The name of the rule that leaves a scan out, and the reason in a sentence; None for a usable scan.

    ================== ==============================================================================
    rule               the scan
    ================== ==============================================================================
    ``few_slices``     has fewer than 3 voxels along an axis (3D only)
    ``constant``       has the same value everywhere
    ``localiser``      has at most 5 slices at a distance of at least 7 mm, and of at least three times
                       that of the voxels within a slice (3D only)
    ``mostly_padding`` has one value in more than 95 % of its voxels
    ``label_map``      has whole numbers from 0 to at most 32 alone
    ================== ==============================================================================
    """
    shape = " x ".join(str(side) for side in facts.shape)
    slices, gap = min(zip(facts.shape, facts.spacing, strict=True))
    if len(facts.shape) == 3 and slices < _FEWEST_SLICES:
        return "few_slices", f"it has {slices} slices ({shape} voxels); a volume needs {_FEWEST_SLICES}."
    if facts.minimum == facts.maximum:
        return "constant", f"every voxel is {facts.minimum:g}."
    coarse = gap >= max(_LOCALISER_GAP, _LOCALISER_RATIO * min(facts.spacing))
    if len(facts.shape) == 3 and slices <= _LOCALISER_SLICES and coarse:
        return "localiser", f"it looks like a localiser: {slices} slices, {gap:.3g} mm apart."
    if facts.padding > _LARGEST_PADDING:
        return "mostly_padding", f"{facts.padding:.1%} of its voxels have the same value."
    if facts.minimum == 0 and all(value in range(_MOST_LABELS + 1) for value in (facts.maximum, *facts.percentiles)):
        return "label_map", f"it looks like a label map: whole numbers from 0 to {facts.maximum:g}."
    return None


def intensity_kind(facts: ScanFacts) -> str:
    """The kind of a scan's intensities: ``"CT in HU"``, ``"CT not in HU"``, another modality, or ``"not in HU"``.

    It is the modality in the header. Without one, or for CT, the values decide; ``""`` means that they do not, as for a crop
    of soft tissue.
    """
    modality = _MODALITY_NAMES.get(facts.modality, facts.modality)
    if modality not in ("", "CT"):
        return modality
    in_hu = _is_in_hu(facts)
    if in_hu or (in_hu is None and modality == "CT"):
        return CT_IN_HU
    if in_hu is None:
        return ""
    return _CT_NOT_IN_HU if modality == "CT" else NOT_IN_HU


def odd_intensity_kinds(facts: Sequence[ScanFacts], majority: float = 3.0) -> dict[int, str]:
    """Find the scans whose intensities are of another kind than those of the rest, each with the reason by its position.

    The rest are the scans of the most frequent kind; without a clear majority no scan is odd. An unknown kind is never odd,
    and ``"not in HU"`` agrees with any modality but CT in HU.

    Args:
        facts: of all scans of a set.
        majority: the least ratio of scans that agree with the most frequent kind to those that do not; 0 for no minimum.
    """
    kinds = [intensity_kind(scan) for scan in facts]
    counts = Counter(kind for kind in kinds if kind)
    if not counts:
        return {}
    # Of two kinds with as many scans, CT in HU wins: its unit is the same in every scan.
    largest = max(counts, key=lambda kind: (counts[kind], kind == CT_IN_HU, kind))
    odd = [place for place, kind in enumerate(kinds) if not _agree(kind, largest)]
    agreeing = counts.total() - len(odd)
    if agreeing < majority * len(odd):
        return {}
    return {place: f"it is {kinds[place]}, while {agreeing} other scans are {largest}." for place in odd}


def _agree(kind: str, other: str) -> bool:
    return not kind or kind == other or (NOT_IN_HU in (kind, other) and CT_IN_HU not in (kind, other))


def _is_in_hu(facts: ScanFacts) -> bool | None:
    low, middle, high = (facts.percentile(number) for number in (0.5, 50.0, 99.5))
    if high - low <= _SMALLEST_SPREAD:
        return False  # scaled to 0 ... 1, or by mean and standard deviation
    if facts.minimum >= 0:
        crop = all(least < facts.percentile(at) < most for at, (least, most) in _SOFT_TISSUE_CROP.items())
        return None if crop else False
    if facts.minimum <= _AIR and _LOWEST_PADDING <= low <= _FAT and middle <= _HIGHEST_MEDIAN:
        return True
    return None
