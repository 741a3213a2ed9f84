"""Out-painting."""

from __future__ import annotations

from typing import Any

import numpy as np
from models_genesis_bundle.transforms.dictionary import RandDeformationd
from models_genesis_bundle.transforms.kernels import fill_noise, keep_windows
from models_genesis_bundle.transforms.painting import RandPainting
from monai.config import KeysCollection

__all__ = ["RandOutPainting", "RandOutPaintingd"]


class RandOutPainting(RandPainting):
    """Paints over everything except some windows, from which the network then restores the rest.

    The first window is always drawn; before each further one, up to ``max_windows`` in all, it stops with probability
    ``stop_prob``. Each side is dim − u with u uniform in 3·dim // 7 … 4·dim // 7, the corner uniform over all places
    that leave ``margin`` voxels to each face. With the defaults 31.6 % of a 64 × 64 × 32 cube are kept on average.

    Args:
        prob: probability of the deformation; see ``RandInPainting`` for the published recipe.
        side_fractions: smallest and largest u as (numerator, denominator) of the image's side, rounded down.
        margin: voxels between a window and each face of the image.
        max_windows: largest number of windows.
        stop_prob: probability of stopping before a window, the first excluded.
        fill: ``"noise"``, uniform in the intensity range for each voxel, as the published code does, or ``"constant"``,
            one uniform value, as the paper says.
        intensity_range: smallest and largest intensity.

    Shape:
        (C, X, Y) or (C, X, Y, Z); all channels share the windows; the result is float32 of the same shape and kind.

    Raises:
        ValueError: for arguments out of range; at the call, for another number of axes or a side too small for the
            windows and margins.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandOutPainting
        >>> painted = RandOutPainting(prob=1.0).set_random_state(0)(np.zeros((1, 48, 48, 24), np.float32))
        >>> bool(0 < np.mean(painted == 0) < 1)  # the share that is kept
        True
    """

    def __init__(
        self,
        prob: float = 0.9,
        side_fractions: tuple[tuple[int, int], tuple[int, int]] = ((3, 7), (4, 7)),
        margin: int = 3,
        max_windows: int = 5,
        stop_prob: float = 0.05,
        fill: str = "noise",
        intensity_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(prob, side_fractions, margin, max_windows, stop_prob, fill, intensity_range)

    def _size_range(self, side: int) -> tuple[int, int]:
        least, most = (numerator * side // denominator for numerator, denominator in self.side_fractions)
        return side - most, side - least

    def _may_stop_before(self, window: int) -> bool:
        return window > 0

    def paint(self, image: np.ndarray) -> np.ndarray:
        """Noise, or a constant, with the drawn windows of ``image`` (C, X, Y, Z) in it."""
        if self.fill == "noise":
            low, high = self.intensity_range
            result = np.empty_like(image)
            fill_noise(result.reshape(-1), np.uint64(self.seed), low, high - low)
        else:
            result = np.full_like(image, self.constants[0])
        keep_windows(image, result, self.corners, self.sizes)
        return result


class RandOutPaintingd(RandDeformationd):
    """Dictionary version of ``RandOutPainting``; the keys share windows and noise.

    Args:
        keys: keys of the images, which have the same spatial shape.
        prob: probability of the deformation.
        allow_missing_keys: whether a missing key is no error.
        kwargs: the other arguments of ``RandOutPainting``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandOutPaintingd
        >>> RandOutPaintingd("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    def __init__(
        self, keys: KeysCollection, prob: float = 0.9, allow_missing_keys: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(keys, RandOutPainting(prob=1.0, **kwargs), prob, allow_missing_keys)
