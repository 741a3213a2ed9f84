"""In-painting."""

from __future__ import annotations

from typing import Any

import numpy as np
from models_genesis_bundle.transforms.dictionary import RandDeformationd
from models_genesis_bundle.transforms.kernels import paint_noise
from models_genesis_bundle.transforms.painting import RandPainting
from monai.config import KeysCollection

__all__ = ["RandInPainting", "RandInPaintingd"]


class RandInPainting(RandPainting):
    """Paints over some windows, which the network then restores from their surroundings.

    Draws up to ``max_windows`` windows; before each one it stops with probability ``stop_prob``. Each side is
    uniform in dim // 6 … dim // 3, the corner uniform over all places that leave ``margin`` voxels to each face. With the
    defaults 5.6 % of a 64 × 64 × 32 cube are replaced on average.

    Args:
        prob: probability of the deformation. The published recipe paints nine of ten cubes, one in five of them by in-painting:
            ``OneOf([RandInPainting(0.9), RandOutPainting(0.9)], weights=[0.2, 0.8])``.
        side_fractions: smallest and largest side of a window as (numerator, denominator) of the image's side, rounded down.
        margin: voxels between a window and each face of the image.
        max_windows: largest number of windows.
        stop_prob: probability of stopping before a window, the first included.
        fill: ``"noise"``, uniform in the intensity range for each voxel, as the published code does, or ``"constant"``,
            one uniform value a window, as the paper says.
        intensity_range: smallest and largest intensity.

    Shape:
        (C, X, Y) or (C, X, Y, Z); all channels share the windows; the result is float32 of the same shape and kind.

    Raises:
        ValueError: for arguments out of range; at the call, for another number of axes or a side too small for the
            windows and margins.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandInPainting
        >>> painted = RandInPainting(prob=1.0).set_random_state(0)(np.zeros((1, 48, 48, 24), np.float32))
        >>> painted.shape, bool(painted.any())
        ((1, 48, 48, 24), True)
    """

    def __init__(
        self,
        prob: float = 0.9,
        side_fractions: tuple[tuple[int, int], tuple[int, int]] = ((1, 6), (1, 3)),
        margin: int = 3,
        max_windows: int = 5,
        stop_prob: float = 0.05,
        fill: str = "noise",
        intensity_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(prob, side_fractions, margin, max_windows, stop_prob, fill, intensity_range)

    def _size_range(self, side: int) -> tuple[int, int]:
        low, high = (numerator * side // denominator for numerator, denominator in self.side_fractions)
        return low, high

    def _may_stop_before(self, window: int) -> bool:
        return True

    def paint(self, image: np.ndarray) -> np.ndarray:
        """A copy of ``image`` (C, X, Y, Z) with the drawn windows painted over."""
        result = image.copy()
        if self.fill == "noise":
            low, high = self.intensity_range
            paint_noise(result, self.corners, self.sizes, np.uint64(self.seed), low, high - low)
            return result
        for corner, size, value in zip(self.corners, self.sizes, self.constants, strict=False):
            x, y, z = (slice(start, start + extent) for start, extent in zip(corner, size, strict=True))
            result[:, x, y, z] = value
        return result


class RandInPaintingd(RandDeformationd):
    """Dictionary version of ``RandInPainting``; the keys share windows and noise.

    Args:
        keys: keys of the images, which have the same spatial shape.
        prob: probability of the deformation.
        allow_missing_keys: whether a missing key is no error.
        kwargs: the other arguments of ``RandInPainting``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandInPaintingd
        >>> RandInPaintingd("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    def __init__(
        self, keys: KeysCollection, prob: float = 0.9, allow_missing_keys: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(keys, RandInPainting(prob=1.0, **kwargs), prob, allow_missing_keys)
