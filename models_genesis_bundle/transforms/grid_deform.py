"""Deformation of whole scans, cube by cube."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.transforms.deformation import spatial_sides
from monai.config import KeysCollection
from monai.data.utils import dense_patch_slices
from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple_rep


class GridDeformd(Randomizable, MapTransform):
    """Applies a dictionary transform to each cube of a scan, on the grid of a ``SlidingWindowInferer`` with ``overlap=0``.

    Each cube is read from the undeformed scan. If a scan's side is not a multiple of the cube's, the last cube is moved
    inwards and overwrites a part of the previous cube.

    Args:
        keys: keys of the scans (C, X, Y[, Z]), arrays or tensors of the same spatial shape.
        transform: dictionary transform for the same keys, such as a ``Compose`` of deformations.
        cube_size: sides of the cubes in voxels. If a side is 1, the transform gets slices without this axis.
        allow_missing_keys: ignore missing keys.

    Raises:
        ValueError: at the call, if a side of the scan is shorter than the cube's.

    Examples:
        >>> from models_genesis_bundle.transforms import GridDeformd, RandOutPaintingd
        >>> deform = GridDeformd("image", RandOutPaintingd("image", prob=1.0), cube_size=(32, 32, 16))
        >>> deform({"image": np.zeros((1, 64, 64, 32), np.float32)})["image"].shape
        (1, 64, 64, 32)
    """

    def __init__(
        self,
        keys: KeysCollection,
        transform: Callable[[dict], Mapping],
        cube_size: int | Sequence[int],
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.transform = transform
        self.cube_size = cube_size

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> GridDeformd:
        """Seed the transform of the cubes."""
        super().set_random_state(seed, state)
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(seed=int(self.R.randint(2**32, dtype=np.uint64)))
        return self

    def randomize(self, data: Any) -> None:
        """Do nothing, because the transform of the cubes is random itself."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Deform float32 copies of the scans of ``data``."""
        result = dict(data)
        keys = list(self.key_iterator(result))
        if not keys:
            return result
        sides = spatial_sides(result[keys[0]], type(self).__name__)
        cube = ensure_tuple_rep(self.cube_size, len(sides))
        if any(side < least for side, least in zip(sides, cube, strict=True)):
            raise ValueError(f"GridDeformd: the scan's sides {sides} are shorter than a cube's {cube}; pad it first.")
        clean = {key: result[key] for key in keys}
        for key in keys:
            is_tensor = isinstance(clean[key], torch.Tensor)
            result[key] = clean[key].clone().float() if is_tensor else np.array(clean[key], dtype=np.float32)
        for place in dense_patch_slices(sides, cube, cube):
            where = (slice(None), *place)
            cubes = {key: image[where] for key, image in clean.items()}
            thick = [side for side in cube if side > 1]
            deformed = self.transform({key: one.reshape(len(one), *thick) for key, one in cubes.items()})
            for key in keys:
                result[key][where] = deformed[key].reshape(cubes[key].shape)
        return result
