"""Local pixel shuffling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from models_genesis_bundle.axes import for_each_axis
from models_genesis_bundle.transforms.deformation import RandDeformation, RandDeformationd
from models_genesis_bundle.transforms.kernels import shuffle_windows
from monai.config import NdarrayOrTensor
from monai.utils import ensure_tuple


class RandLocalPixelShuffle(RandDeformation):
    """Permutes the voxels inside many small random windows. This destroys texture and keeps shape.

    The sides of a window are uniform in 1 … ``max_side``. Its corner is uniform over all places where the window fits, and
    all permutations are equally likely. Every window is read from the undeformed image; later windows overwrite earlier ones.
    With the defaults, 78.5 % of the voxels of a 64 × 64 × 32 cube get another voxel's value.

    Args:
        prob: probability of the deformation; 0.5 as published.
        num_windows: number of windows.
        max_side: largest side of a window in voxels, one number or one for each axis. With None, it is a tenth of the
            image's side, rounded down, but at least 1.
        share_channels: whether all channels of a window get the same permutation, so that they stay registered. The
            published code deforms only the first channel.

    Shape:
        (C, X, Y) or (C, X, Y, Z) with any sides. The result is float32 of the same shape and type.

    Raises:
        ValueError: an argument is out of range; at the call, the number of axes is wrong, or windows are larger than the image.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandLocalPixelShuffle
        >>> cube = np.random.default_rng(0).random((1, 48, 48, 24), np.float32)
        >>> shuffled = RandLocalPixelShuffle(prob=1.0).set_random_state(0)(cube)
        >>> shuffled.shape, bool((shuffled != cube).any())
        ((1, 48, 48, 24), True)
    """

    def __init__(
        self,
        prob: float = 0.5,
        num_windows: int = 10_000,
        max_side: int | Sequence[int] | None = None,
        share_channels: bool = True,
    ) -> None:
        super().__init__(prob)
        if num_windows < 1:
            raise ValueError(f"RandLocalPixelShuffle: num_windows must be at least 1, got {num_windows}.")
        if max_side is not None and min(ensure_tuple(max_side)) < 1:
            raise ValueError(f"RandLocalPixelShuffle: max_side must be at least 1 voxel, got {max_side}.")
        self.num_windows = num_windows
        self.max_side = max_side
        self.share_channels = share_channels

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose whether to deform, and the seed of all windows and permutations."""
        super().randomize(image)
        self._largest_sides(self.sides)
        self.seed = int(self.R.randint(2**32, dtype=np.uint64))

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Shuffle the voxels of a copy of the image."""
        sides = image.shape[1:]
        flat = (1,) * (3 - len(sides))
        result = image.copy()
        shuffle_windows(
            image.reshape(len(image), -1),
            result.reshape(len(image), -1),
            np.array(flat + sides, dtype=np.int64),
            np.array(flat + self._largest_sides(sides), dtype=np.int64),
            self.num_windows,
            np.uint64(self.seed),
            self.share_channels,
        )
        return result

    def _largest_sides(self, sides: tuple[int, ...]) -> tuple[int, ...]:
        if self.max_side is None:
            return tuple(max(1, side // 10) for side in sides)
        largest = for_each_axis(self.max_side, len(sides), "RandLocalPixelShuffle: max_side")
        if any(window > side for window, side in zip(largest, sides, strict=True)):
            raise ValueError(f"RandLocalPixelShuffle: windows of up to {largest} voxels do not fit into {sides}.")
        return largest


class RandLocalPixelShuffled(RandDeformationd):
    """Dictionary version of ``RandLocalPixelShuffle``; all keys are shuffled in the same way.

    Its arguments are ``keys``, ``prob``, ``allow_missing_keys`` and the others of ``RandLocalPixelShuffle``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandLocalPixelShuffled
        >>> RandLocalPixelShuffled("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    deformation = RandLocalPixelShuffle
