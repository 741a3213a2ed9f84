"""Masking of blocks, the input of masked-image modelling."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from models_genesis_bundle.axes import for_each_axis
from models_genesis_bundle.transforms.deformation import RandDeformation, RandDeformationd
from monai.config import KeysCollection, NdarrayOrTensor
from monai.utils import convert_to_dst_type, ensure_tuple


class RandBlockMasking(RandDeformation):
    """Masks a fraction of the blocks of a grid. A network then restores them from the visible blocks.

    The grid starts at the first voxel of the image. If a side is not a multiple of the block's side, the last blocks are
    smaller. Of n blocks, round(share · n) are chosen uniformly at random and masked.

    Args:
        prob: probability of the masking.
        share: fraction of the blocks that are masked, above 0 and below 1.
        block_size: sides of a block in voxels, one number or one for each axis.
        fill: intensity of the masked voxels.

    Shape:
        (C, X, Y) or (C, X, Y, Z). The result is float32 of the same shape and type; all channels have the same mask.

    Raises:
        ValueError: an argument is out of range; at the call, the number of axes is wrong, or the image has so few blocks that
            all or none would be masked.

    Examples:
        >>> from models_genesis_bundle.transforms import RandBlockMasking
        >>> cube = np.ones((1, 64, 64, 32), dtype=np.float32)
        >>> masked = RandBlockMasking(share=0.6, block_size=16).set_random_state(0)(cube)
        >>> float((masked == 0).mean())  # round(0.6 * 32) of 4 x 4 x 2 blocks
        0.59375

    Based on: He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, doi:10.1109/CVPR52688.2022.01553.
    """

    def __init__(
        self, prob: float = 1.0, share: float = 0.6, block_size: int | Sequence[int] = 8, fill: float = 0.0
    ) -> None:
        super().__init__(prob)
        if not 0 < share < 1:
            raise ValueError(f"RandBlockMasking: share must be above 0 and below 1, got {share}.")
        if min(ensure_tuple(block_size)) < 1:
            raise ValueError(f"RandBlockMasking: block_size must be at least 1 voxel, got {block_size}.")
        self.share = share
        self.block_size = block_size
        self.fill = fill

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose whether to mask, and the masked blocks of the grid."""
        super().randomize(image)
        block = for_each_axis(self.block_size, len(self.sides), "RandBlockMasking: block_size")
        grid = [-(-side // length) for side, length in zip(self.sides, block, strict=True)]
        number = int(np.prod(grid))
        masked = round(self.share * number)
        if not 0 < masked < number:
            raise ValueError(
                f"RandBlockMasking: {masked} of {number} blocks would be masked, because an image of {self.sides} voxels has few "
                f"blocks of {block} voxels (share {self.share}). Use smaller blocks, or larger cubes."
            )
        blocks = np.zeros(number, dtype=bool)
        blocks[self.R.choice(number, masked, replace=False)] = True
        self.blocks = blocks.reshape(grid)

    def mask(self, image: NdarrayOrTensor) -> np.ndarray:
        """The last mask for an image (C, X, Y[, Z]): a bool array (1, X, Y[, Z])."""
        block = for_each_axis(self.block_size, image.ndim - 1, "RandBlockMasking: block_size")
        places = (np.arange(side) // length for side, length in zip(image.shape[1:], block, strict=True))
        return self.blocks[np.ix_(*places)][None]

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Mask a copy of the image with the last mask."""
        return np.where(self.mask(image), np.float32(self.fill), image)


class RandBlockMaskingd(RandDeformationd):
    """Dictionary version of ``RandBlockMasking``; all keys get the same mask, which is added to the dictionary.

    Args:
        keys: keys of the images, which have the same spatial shape.
        prob: probability of the masking.
        allow_missing_keys: ignore missing keys.
        mask_key: key of the mask in the result, bool (1, X, Y[, Z]) of the first image's type; True where images are masked.
        kwargs: the other arguments of ``RandBlockMasking``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandBlockMaskingd
        >>> masked = RandBlockMaskingd("image", share=0.5)({"image": np.ones((1, 32, 32, 16), np.float32)})
        >>> masked["mask"].shape, float(masked["mask"].mean())
        ((1, 32, 32, 16), 0.5)
    """

    deformation = RandBlockMasking

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
        mask_key: str = "mask",
        **kwargs: Any,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys, **kwargs)
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any], randomize: bool = True) -> dict[Hashable, Any]:
        """Mask copies of the images of ``data``; ``randomize=False`` uses the last mask again."""
        result = super().__call__(data, randomize)
        if keys := list(self.key_iterator(result)):
            image = result[keys[0]]
            mask = self.transform.mask(image) if self._do_transform else np.zeros((1, *image.shape[1:]), dtype=bool)
            result[self.mask_key], *_ = convert_to_dst_type(mask, dst=image, dtype=bool)
        return result
