"""Centres of training patches, with the same number of candidates for each class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform


class PatchCentresd(MapTransform):
    """Lists the same number of voxels for each class of a label map, and for the background.

    The lists are for ``bg_indices_key`` and ``fg_indices_key`` of `monai.transforms.RandCropByPosNegLabeld`. Patches are then
    also centred on small classes. nnU-Net also chooses the class first ("foreground oversampling", Isensee et al., 2021).

    Args:
        keys: keys of label maps ``(1, X, Y[, Z])`` of whole numbers, 0 for the background.
        voxels_per_class: number of voxels for each class, at even distances, repeated if a class is smaller.
        allow_missing_keys: ignore missing keys.

    Shape:
        For a key ``label``: ``label_bg_indices`` ``(voxels_per_class,)`` and ``label_fg_indices`` ``(classes in the map *
        voxels_per_class,)``, int64 indices of the flattened label map; empty if there is no such voxel.
    """

    def __init__(self, keys: KeysCollection, voxels_per_class: int = 10_000, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if voxels_per_class < 1:
            raise ValueError(f"PatchCentresd: voxels_per_class must be at least 1, got {voxels_per_class}.")
        golden_section = (5**0.5 - 1) / 2  # the fractional parts of its multiples are evenly spread in (0, 1)
        self.shares = np.arange(voxels_per_class) * golden_section % 1

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the lists of each key's label map."""
        listed = dict(data)
        for key in self.key_iterator(listed):
            labels = np.asarray(listed[key]).ravel()
            values = np.unique(labels)
            listed[f"{key}_bg_indices"] = self._voxels(labels, values[values == 0])
            listed[f"{key}_fg_indices"] = self._voxels(labels, values[values != 0])
        return listed

    def _voxels(self, labels: np.ndarray, values: np.ndarray) -> np.ndarray:
        places = [np.flatnonzero(labels == value) for value in values]
        return np.concatenate([np.empty(0, int), *(one[(self.shares * len(one)).astype(int)] for one in places)])
