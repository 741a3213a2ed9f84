"""Quality rules that exclude scans from pretraining, and the kind of a scan's intensities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing

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
_CLEAR_MAJORITY = 3
_LOCALISER_SLICES = 5
_LOCALISER_GAP = 7.0  # mm
_LOCALISER_RATIO = 3.0
_SMALLEST_SPREAD = 20.0
_LOWEST_PADDING, _AIR, _FAT, _HIGHEST_MEDIAN = -3100.0, -200.0, -100.0, 700.0  # HU


@dataclass(frozen=True)
class ScanFacts:
    """The properties of a scan for the rules and the planning."""

    shape: tuple[int, ...]  # voxels along the axes closest to right, front and head (two axes in 2D)
    spacing: tuple[float, ...]  # side of a voxel along these axes, in mm
    modality: str  # modality in the header, such as "CT" or "MR", or ""
    minimum: float
    maximum: float
    low: float  # the 0.5th percentile
    median: float
    high: float  # the 99.5th percentile
    padding: float  # fraction of the voxels that have the most frequent value
    whole: bool  # all values are whole numbers

    @classmethod
    def of(cls, image: MetaTensor) -> ScanFacts:
        """The properties of the first channel of a scan from `LoadScand`; percentiles are from about 2 million voxels."""
        voxels = image.as_tensor()[0]
        order = np.argsort(nibabel.io_orientation(np.asarray(image.affine))[:, 0])
        spacing = affine_to_spacing(image.affine, r=voxels.ndim)
        values = np.sort(_thinned(voxels.numpy(), _MOST_VOXELS))
        changes = np.flatnonzero(np.diff(values)) + 1
        longest = int(np.diff(changes, prepend=0, append=len(values)).max())
        low, median, high = np.percentile(values, (0.5, 50.0, 99.5)).tolist()
        return cls(
            shape=tuple(int(voxels.shape[axis]) for axis in order),
            spacing=tuple(float(spacing[axis]) for axis in order),
            modality=str(image.meta.get("modality") or "").strip().upper(),
            minimum=float(voxels.min()),
            maximum=float(voxels.max()),
            low=low,
            median=median,
            high=high,
            padding=longest / len(values),
            whole=bool((values == np.rint(values)).all()),
        )


def _thinned(voxels: np.ndarray, most: int) -> np.ndarray:
    """About `most` voxels of a scan, or fewer, at equal steps along all axes, flattened."""
    step = int(np.ceil((voxels.size / most) ** (1 / voxels.ndim)))
    return voxels[(slice(None, None, max(step, 1)),) * voxels.ndim].ravel()


def quality_rule(facts: ScanFacts) -> tuple[str, str] | None:
    """The name of the rule that excludes a scan, and the reason as a sentence; None for a usable scan.

    ================== ==============================================================================
    rule               the scan
    ================== ==============================================================================
    ``few_slices``     has fewer than 3 voxels along an axis (3D only)
    ``constant``       has the same value everywhere
    ``localiser``      has at most 5 slices, at least 7 mm apart and at least 3 times the smallest side of
                       a voxel (3D only)
    ``mostly_padding`` has one value in more than 95 % of its voxels
    ``label_map``      has only whole numbers from 0 to at most 32
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
    if facts.whole and facts.minimum == 0 and facts.maximum <= _MOST_LABELS:
        return "label_map", f"it looks like a label map: whole numbers from 0 to {facts.maximum:g}."
    return None


def intensity_kind(facts: ScanFacts) -> str:
    """The kind of a scan's intensities: ``"CT in HU"``, ``"CT not in HU"``, another modality, ``"not in HU"`` or ``""``.

    It is the modality in the header. Without a modality, or for CT, it is found from the intensities; ``""`` means unknown.
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


def scaled_as_ct(kinds: Collection[str], total: int) -> str:
    """The sentence of a warning that scans of these kinds, of `total` scans, are scaled as CT in HU."""
    return f"{len(kinds)} of {total} scans are {', '.join(dict.fromkeys(kinds))}, but all are scaled as CT in HU."


def odd_intensity_kinds(kinds: Sequence[str]) -> tuple[dict[int, str], bool]:
    """Find the scans whose kind of intensities differs from the most frequent kind.

    An unknown kind never differs, and ``"not in HU"`` agrees with any modality but CT in HU.

    Args:
        kinds: the `intensity_kind` of each scan.

    Returns:
        The reasons by the position of each odd scan, and whether the other scans are at least three times as many.
    """
    counts = Counter(kind for kind in kinds if kind)
    if not counts:
        return {}, True
    # If two kinds are equally frequent, CT in HU wins, because its unit is the same in every scan.
    largest = max(counts, key=lambda kind: (counts[kind], kind == CT_IN_HU, kind))
    odd = [place for place, kind in enumerate(kinds) if not _agree(kind, largest)]
    agreeing = counts.total() - len(odd)
    reasons = {place: f"it is {kinds[place]}, while {agreeing} other scans are {largest}." for place in odd}
    return reasons, agreeing >= _CLEAR_MAJORITY * len(odd)


def _agree(kind: str, other: str) -> bool:
    return not kind or kind == other or (NOT_IN_HU in (kind, other) and CT_IN_HU not in (kind, other))


def _is_in_hu(facts: ScanFacts) -> bool | None:
    """Whether the values are CT in HU; None if this is unclear."""
    if facts.high - facts.low <= _SMALLEST_SPREAD:
        return False  # scaled to 0 … 1, or by mean and standard deviation
    if facts.minimum >= 0:
        # A crop of soft tissue without fat or air has no voxel below 0 HU, and no bright voxel.
        is_crop = facts.low > 10 and 20 < facts.median < 150 and facts.high < 400
        return None if is_crop else False
    # Other CT scans have fat, lung or air well below 0 HU, but few voxels below the padding of scanners.
    if facts.minimum <= _AIR and _LOWEST_PADDING <= facts.low <= _FAT and facts.median <= _HIGHEST_MEDIAN:
        return True
    return None
