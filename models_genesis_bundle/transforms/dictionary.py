"""The base class of the dictionary transforms of the deformations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

__all__ = ["RandDeformationd"]


class RandDeformationd(RandomizableTransform, MapTransform):
    """Draws once for all keys, and applies an array transform to each with that draw.

    Args:
        keys: keys of the images; they have the same spatial shape.
        transform: the array transform, of probability 1; its ``randomize(image)`` draws and its
            ``__call__(image, randomize=False)`` applies the draw.
        prob: probability of the deformation.
        allow_missing_keys: whether a missing key is no error.
    """

    def __init__(
        self, keys: KeysCollection, transform: RandomizableTransform, prob: float, allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.transform = transform

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandDeformationd:
        """Seed the choice to deform and, from it, the array transform."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, Any], randomize: bool = True) -> dict[Hashable, Any]:
        """Deform the images of ``data``, whose arrays are not changed; ``randomize=False`` applies the last draw again."""
        result = dict(data)
        keys = list(self.key_iterator(result))
        if randomize:
            self.randomize(None)
            if self._do_transform and keys:
                self.transform.randomize(result[keys[0]])
        if self._do_transform:
            for key in keys:
                result[key] = self.transform(result[key], randomize=False)
        return result
