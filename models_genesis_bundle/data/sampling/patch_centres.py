"""Centres of training patches, with the same number of candidates for each class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform


class PatchCentresd(MapTransform):
    """Lists voxels of the background and of each class of a label map, the same number for each class.

    For `monai.transforms.RandCropByPosNegLabeld` with ``bg_indices_key`` and ``fg_indices_key``. If all foreground voxels had the
    same chance, a patch would hardly ever be centred on a nodule of a hundred voxels next to lungs of a million. nnU-Net
    draws the class first as well (Isensee et al., Nature Methods 2021, "foreground oversampling").

    Args:
        keys: keys of label maps ``(1, X, Y[, Z])`` of whole numbers, 0 for the background.
        voxels_per_class: number of voxels listed of each class, spread evenly over it, or repeated in a smaller class.
        allow_missing_keys: ignore missing keys.

    Shape:
        Result for a key ``label``: ``label_bg_indices`` ``(voxels_per_class,)`` and ``label_fg_indices`` ``(classes in the
        map * voxels_per_class,)``, int64 indices into the flattened label map; empty if there is no voxel.
    """

    def __init__(self, keys: KeysCollection, voxels_per_class: int = 10_000, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if voxels_per_class < 1:
            raise ValueError(f"PatchCentresd: voxels_per_class must be at least 1, got {voxels_per_class}.")
        golden_section = (5**0.5 - 1) / 2  # its multiples fill (0, 1) evenly, independently of an image's rows
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
