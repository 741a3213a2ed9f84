"""Random flips before the deformations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.transforms.deformation import RandDeformation, RandDeformationd
from monai.config import NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform
from monai.transforms.spatial.functional import flip
from monai.utils import TraceKeys


class RandSequentialFlip(RandDeformation, InvertibleTransform):
    """Flips along random axes, up to ``max_flips`` times.

    Each flip happens with probability ``prob``; after the first one that does not happen, there are no more. The axis of each
    flip is uniform in ``axes``, so that a second flip can undo the first.

    Args:
        prob: probability of a flip, 0.4 as published.
        max_flips: largest number of flips.
        axes: spatial axes to choose from; None for all. An entry None means no flip: the published code flips along
            ``(None, 0, 1)``, because its first axis is the channel axis.

    Shape:
        (C, X, Y) or (C, X, Y, Z). The result is a float32 copy of the same shape and type. For a MetaTensor, the affine is
        updated and ``applied_operations`` records the flips, so that ``inverse`` can undo them.

    Raises:
        ValueError: an argument is out of range; at the call, the image does not have an axis.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandSequentialFlip
        >>> flip = RandSequentialFlip(prob=1.0, max_flips=1).set_random_state(0)
        >>> flip(np.arange(4.0).reshape(1, 2, 2)).shape
        (1, 2, 2)
    """

    fits_any_size = True

    def __init__(self, prob: float = 0.4, max_flips: int = 3, axes: Sequence[int | None] | None = None) -> None:
        super().__init__(1.0)
        if not 0 <= prob <= 1 or max_flips < 0:
            raise ValueError(f"RandSequentialFlip: needs prob in 0 … 1 and max_flips >= 0, got {prob} and {max_flips}.")
        if axes is not None and not len(axes):
            raise ValueError("RandSequentialFlip: axes must name at least one axis, or be None for all.")
        self.flip_prob = prob
        self.max_flips = max_flips
        self.axes = axes
        self.flipped: tuple[int, ...] = ()

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose the axes to flip."""
        super().randomize(image)
        dims = len(self.sides)
        choices = list(range(dims)) if self.axes is None else list(self.axes)
        if any(axis is not None and not -dims <= axis < dims for axis in choices):
            raise ValueError(f"RandSequentialFlip: axes {choices} are not all among the {dims} axes of the image.")
        odd: set[int] = set()
        flips = 0
        while flips < self.max_flips and self.R.uniform() < self.flip_prob:
            axis = choices[self.R.randint(len(choices))]
            if axis is not None:
                odd ^= {axis % dims}
            flips += 1
        self.flipped = tuple(sorted(odd))

    def __call__(self, image: NdarrayOrTensor, randomize: bool = True) -> NdarrayOrTensor:
        """Flip a copy of ``image``; ``randomize=False`` flips the same axes again."""
        if not isinstance(image, MetaTensor):
            return super().__call__(image, randomize)
        if randomize:
            self.randomize(image)
        return flip(image.detach().float(), self.flipped, lazy=False, transform_info=self.get_transform_info())

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Flip a copy of the image along the chosen axes."""
        return np.flip(image, tuple(axis + 1 for axis in self.flipped)).copy()

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Undo the flips of the last call of this transform, as the MetaTensor records them."""
        axes = self.pop_transform(data)[TraceKeys.EXTRA_INFO]["axes"]
        with self.trace_transform(False):
            return flip(data, axes, lazy=False, transform_info=self.get_transform_info())


class RandSequentialFlipd(RandDeformationd, InvertibleTransform):
    """Dictionary version of ``RandSequentialFlip``; all keys get the same flips.

    Its arguments are ``keys``, ``prob`` of a flip, ``allow_missing_keys`` and the others of ``RandSequentialFlip``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandSequentialFlipd
        >>> flipped = RandSequentialFlipd(["image", "label"])({"image": np.ones((1, 8, 8)), "label": np.ones((1, 8, 8))})
        >>> sorted(flipped)
        ['image', 'label']
    """

    deformation = RandSequentialFlip

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Undo the flips of the images of ``data``, as their MetaTensors record them."""
        return {**data, **{key: self.transform.inverse(data[key]) for key in self.key_iterator(data)}}
