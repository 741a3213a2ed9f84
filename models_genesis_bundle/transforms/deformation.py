"""The base classes of the deformations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from models_genesis_bundle.messages import unwrapped
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_data_type

_TRIALS = 20


class RandDeformation(RandomizableTransform):
    """Deforms a float32 copy of an image; the result has the type, device and metadata of the image.

    A subclass chooses random parameters in ``randomize(image)``, and applies them in ``deform``.
    """

    fits_any_size: ClassVar[bool] = False  # whether the same parameters can be applied to an image of other sides

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose whether to deform an image, and store its sides."""
        super().randomize(None)
        self.sides = spatial_sides(image, type(self).__name__)

    def __call__(self, image: NdarrayOrTensor, randomize: bool = True) -> NdarrayOrTensor:
        """Deform a copy of ``image``; ``randomize=False`` repeats the last deformation."""
        if randomize:
            self.randomize(image)
        if not self._do_transform:
            return convert_data_type(image, dtype=torch.float32)[0]
        if not self.fits_any_size and (sides := spatial_sides(image, type(self).__name__)) != self.sides:
            raise ValueError(
                f"{type(self).__name__}: the last deformation is for an image of {self.sides} voxels, got {sides}."
            )
        if not isinstance(image, torch.Tensor):
            return self.deform(np.ascontiguousarray(image, dtype=np.float32))
        array = image.detach().as_subclass(torch.Tensor).cpu().float().numpy()
        result = torch.from_numpy(self.deform(np.ascontiguousarray(array))).to(image.device)
        return MetaTensor(result).copy_meta_from(image) if isinstance(image, MetaTensor) else result

    def deform(self, image: np.ndarray) -> np.ndarray:
        """A new array of the shape of ``image``, which is contiguous and float32."""
        raise NotImplementedError


class RandDeformationd(RandomizableTransform, MapTransform):
    """Applies the same random deformation to all keys.

    Args:
        keys: keys of the images, which have the same spatial shape.
        prob: probability of the deformation; None: the default of the array version.
        allow_missing_keys: ignore missing keys.
        kwargs: the other arguments of the array version.
    """

    deformation: ClassVar[type[RandDeformation]]

    def __init__(
        self, keys: KeysCollection, prob: float | None = None, allow_missing_keys: bool = False, **kwargs: Any
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.transform = self.deformation(**kwargs) if prob is None else self.deformation(prob=prob, **kwargs)
        RandomizableTransform.__init__(self, self.transform.prob)
        self.transform.prob = 1.0  # this class chooses whether to deform

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandDeformationd:
        """Seed the choice whether to deform, and the deformation."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, Any], randomize: bool = True) -> dict[Hashable, Any]:
        """Deform copies of the images of ``data``; ``randomize=False`` repeats the last deformation."""
        result = dict(data)
        keys = list(self.key_iterator(result))
        if randomize:
            self.randomize(None)
            if self._do_transform and keys:
                self.transform.randomize(result[keys[0]])
        self.transform._do_transform = self._do_transform
        for key in keys:
            result[key] = self.transform(result[key], randomize=False)
        return result


def require_deformable(
    transform: Callable[[dict], Any], size: Sequence[int], channels: int = 1, setting: str = "cube_size"
) -> None:
    """Check that a random transform can deform cubes of a size, before a run prepares its scans.

    Args:
        transform: a transform for items of ``ScanCubes``. It is tried on 20 empty cubes, because it may skip some at random.
        size: sides of a cube in voxels.
        channels: number of channels of a cube.
        setting: name of the setting in the configuration, for the message.

    Raises:
        ValueError: the transform fails; the message contains the setting and the transform's message.
    """
    cube = {"image": np.zeros((channels, *size), dtype=np.float32), "source": "", "cube": 0}
    try:
        for _ in range(_TRIALS):
            transform(dict(cube))
    except Exception as error:
        raise ValueError(f"{setting}: cubes of {list(size)} voxels cannot be deformed. {unwrapped(error)}") from error


def spatial_sides(image: NdarrayOrTensor, name: str) -> tuple[int, ...]:
    """The spatial sides of a channel-first image in 2D or 3D; a ValueError names the transform for any other shape."""
    sides = tuple(int(side) for side in image.shape[1:])
    if len(sides) not in (2, 3) or 0 in sides:
        raise ValueError(f"{name}: expected an image (C, X, Y) or (C, X, Y, Z), got the shape {tuple(image.shape)}.")
    return sides


def require_range(intensity_range: Sequence[float], name: str) -> tuple[float, float]:
    """The smallest and largest intensity; a ValueError names the transform if they are not two increasing numbers."""
    if len(intensity_range) != 2 or not intensity_range[0] < intensity_range[1]:
        raise ValueError(f"{name}: intensity_range must be two increasing numbers, got {intensity_range}.")
    return float(intensity_range[0]), float(intensity_range[1])
