"""A scan's preprocessing in MONAI's own transforms, for programs without this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS

__all__ = ["plain_preprocessing"]


def plain_preprocessing(record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of MONAI transforms that equal the recorded ``ScanPreprocessing``, for items with ``image``.

    Unlike ``LoadScand``, they do not refuse unusable scans.

    Args:
        record: of ``ScanPreprocessing.record``.

    Returns:
        A ``Compose`` with its arguments, as in a bundle's configuration.

    Raises:
        ValueError: for a record of flat images, of one volume of files with several, or of several channels.
    """
    steps = ScanPreprocessing.from_record(record)
    if steps.spatial_dims != 3 or steps.volume is not None or steps.num_channels > 1:
        raise ValueError(
            f"preprocessing: only that of single volumes can be expressed in MONAI's transforms; this one has spatial_dims "
            f"{steps.spatial_dims}, volume {steps.volume} and channels {steps.channels}. Fine-tune on files with one volume "
            "each."
        )
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},  # MONAI Deploy loads by itself, and leaves the first out
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]
    if steps.orientation is not None:
        labels = [list(ends) for ends in RAS_LABELS]
        transforms.append({"_target_": "Orientationd", "keys": "image", "axcodes": steps.orientation, "labels": labels})
    if steps.spacing is not None:
        pixdim = list(steps.spacing)
        transforms.append({"_target_": "Spacingd", "keys": "image", "pixdim": pixdim, "mode": "bilinear"})
    return {"_target_": "Compose", "transforms": [*transforms, *_intensity_transforms(steps.intensity)]}


def _intensity_transforms(intensity: IntensityScaling) -> list[dict[str, Any]]:
    low, high = intensity.value_range
    to_range = {"keys": "image", "b_min": low, "b_max": high, "clip": True}
    if intensity.mode == "window":
        window = {"a_min": intensity.lower, "a_max": intensity.upper}
        return [{"_target_": "ScaleIntensityRanged", **to_range, **window}]
    if intensity.mode == "percentile":
        percentiles = {"lower": intensity.lower, "upper": intensity.upper}
        return [{"_target_": "ScaleIntensityRangePercentilesd", **to_range, **percentiles}]
    return [
        {"_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": intensity.mean, "divisor": intensity.std},
        {"_target_": "ScaleIntensityRanged", **to_range, "a_min": low, "a_max": high},
    ]
