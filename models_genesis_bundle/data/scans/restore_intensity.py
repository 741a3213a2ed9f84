"""The way back from the network's intensities to the scan's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from models_genesis_bundle.data.scans.intensity import IntensityScaling

__all__ = ["RestoreScanIntensityd"]


class RestoreScanIntensityd(MapTransform):
    """Brings scaled scans back to their own unit (HU for CT), where the scaling can be inverted.

    A scan that was scaled by its own percentiles or statistics has no way back and stays scaled.

    Args:
        keys: keys of the scans, arrays or tensors of any shape.
        intensity: the scaling that they went through.
        allow_missing_keys: whether a missing key is no error.
    """

    def __init__(self, keys: KeysCollection, intensity: IntensityScaling, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.intensity = intensity

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the scans of ``data``; the input is not changed."""
        restored = dict(data)
        if self.intensity.is_invertible:
            for key in self.key_iterator(restored):
                restored[key] = self.intensity.invert(restored[key])
        return restored
