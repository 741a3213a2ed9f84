"""In-painting and out-painting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from models_genesis_bundle.transforms.deformation import RandDeformation, RandDeformationd, require_range
from models_genesis_bundle.transforms.kernels import fill_noise, paint_noise
from monai.config import NdarrayOrTensor


class RandInPainting(RandDeformation):
    """Replaces the voxels of some windows. A network then restores them from their surroundings.

    There are up to ``max_windows`` windows; before each one, the transform stops with probability ``stop_prob``. Each side is
    uniform in dim // 6 … dim // 3. The corner is uniform over all places that leave ``margin`` voxels to each face. With the
    defaults, 5.6 % of a 64 × 64 × 32 cube are replaced on average.

    Args:
        prob: probability of the deformation. The published recipe paints 90 % of the cubes, 20 % of them by in-painting:
            ``OneOf([RandInPainting(0.9), RandOutPainting(0.9)], weights=[0.2, 0.8])``.
        side_fractions: smallest and largest side of a window as (numerator, denominator) of the image's side, rounded down.
        margin: voxels between a window and each face of the image.
        max_windows: largest number of windows.
        stop_prob: probability of stopping before each window, also before the first.
        fill: ``"noise"`` for a uniform random value in each voxel, as in the published code; ``"constant"`` for one in each
            window, as in the paper.
        intensity_range: smallest and largest intensity.

    Shape:
        (C, X, Y) or (C, X, Y, Z). The result is float32 of the same shape and type; all channels have the same windows.

    Raises:
        ValueError: an argument is out of range; at the call, the number of axes is wrong, or a side is too small for the
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
        super().__init__(prob)
        name = type(self).__name__
        (low, low_of), (high, high_of) = side_fractions
        if not 0 < low / low_of <= high / high_of < 1:
            raise ValueError(f"{name}: side_fractions must be two increasing fractions in 0 … 1, got {side_fractions}.")
        if margin < 0 or max_windows < 1 or not 0 <= stop_prob <= 1:
            raise ValueError(
                f"{name}: needs margin >= 0, max_windows >= 1 and stop_prob in 0 … 1, "
                f"got {margin}, {max_windows} and {stop_prob}."
            )
        if fill not in ("noise", "constant"):
            raise ValueError(f"{name}: fill must be noise or constant, got {fill!r}.")
        self.side_fractions = side_fractions
        self.margin = margin
        self.max_windows = max_windows
        self.stop_prob = stop_prob
        self.fill = fill
        self.intensity_range = require_range(intensity_range, name)

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose whether to deform, the windows, and their new values."""
        super().randomize(image)
        ranges = [self._size_range(side) for side in self.sides]
        for axis, (side, (low, high)) in enumerate(zip(self.sides, ranges, strict=True)):
            if low < 1 or high + 2 * self.margin > side:
                raise ValueError(
                    f"{type(self).__name__}: side {axis} of the image has {side} voxels, too few for windows of {low} to "
                    f"{high} voxels with a margin of {self.margin}; use larger cubes, or a smaller margin."
                )
        dims = len(self.sides)
        corners, sizes = [], []
        for window, draws in enumerate(self.R.uniform(size=(self.max_windows, 1 + 2 * dims)).tolist()):
            if self._may_stop_before(window) and draws[0] < self.stop_prob:
                break
            size = [
                low + int(draw * (high - low + 1))
                for draw, (low, high) in zip(draws[1 : 1 + dims], ranges, strict=True)
            ]
            corner = [
                self.margin + int(draw * (side - extent - 2 * self.margin + 1))
                for draw, side, extent in zip(draws[1 + dims :], self.sides, size, strict=True)
            ]
            corners.append([0] * (3 - dims) + corner)
            sizes.append([1] * (3 - dims) + size)
        self.corners = np.array(corners, dtype=np.int64).reshape(-1, 3)
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 3)
        self.constants = self.R.uniform(*self.intensity_range, size=max(1, len(corners))).tolist()
        self.seed = int(self.R.randint(2**32, dtype=np.uint64))

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Paint over the chosen windows."""
        result = image.copy()
        volume = _as_volume(result)
        if self.fill == "noise":
            low, high = self.intensity_range
            paint_noise(volume, self.corners, self.sizes, np.uint64(self.seed), low, high - low)
        else:
            for window, value in zip(self.windows(), self.constants, strict=False):
                volume[window] = value
        return result

    def windows(self) -> Iterator[tuple[slice, ...]]:
        """The chosen windows, as indices of an image (C, X, Y, Z)."""
        for corner, size in zip(self.corners, self.sizes, strict=True):
            yield slice(None), *map(slice, corner, corner + size)

    def _size_range(self, side: int) -> tuple[int, int]:
        (low, low_of), (high, high_of) = self.side_fractions
        return low * side // low_of, high * side // high_of

    def _may_stop_before(self, window: int) -> bool:
        return True


class RandOutPainting(RandInPainting):
    """Replaces all voxels except some windows. A network then restores the rest from these windows.

    There are 1 to ``max_windows`` windows; before each one except the first, the transform stops with probability
    ``stop_prob``. Each side is dim − u with u uniform in 3·dim // 7 … 4·dim // 7. The corner is uniform over all places that
    leave ``margin`` voxels to each face. With the defaults, 31.6 % of a 64 × 64 × 32 cube are kept on average.

    Arguments, shape and errors are as for ``RandInPainting``, except for:

    Args:
        side_fractions: smallest and largest u as (numerator, denominator) of the image's side, rounded down.
        stop_prob: probability of stopping before each window except the first.
        fill: ``"noise"`` for a uniform random value in each voxel; ``"constant"`` for one in all voxels.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandOutPainting
        >>> painted = RandOutPainting(prob=1.0).set_random_state(0)(np.zeros((1, 48, 48, 24), np.float32))
        >>> bool(0 < np.mean(painted == 0) < 1)  # the fraction that is kept
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
        (least, least_of), (most, most_of) = self.side_fractions
        return side - most * side // most_of, side - least * side // least_of

    def _may_stop_before(self, window: int) -> bool:
        return window > 0

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Keep the chosen windows, and paint over the rest."""
        if self.fill == "noise":
            low, high = self.intensity_range
            result = np.empty_like(image)
            fill_noise(result.reshape(-1), np.uint64(self.seed), low, high - low)
        else:
            result = np.full_like(image, self.constants[0])
        for window in self.windows():
            _as_volume(result)[window] = _as_volume(image)[window]
        return result


class RandInPaintingd(RandDeformationd):
    """Dictionary version of ``RandInPainting``; all keys get the same windows and noise.

    Its arguments are ``keys``, ``prob``, ``allow_missing_keys`` and the others of ``RandInPainting``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandInPaintingd
        >>> RandInPaintingd("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    deformation = RandInPainting


class RandOutPaintingd(RandDeformationd):
    """Dictionary version of ``RandOutPainting``; all keys get the same windows and noise.

    Its arguments are ``keys``, ``prob``, ``allow_missing_keys`` and the others of ``RandOutPainting``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandOutPaintingd
        >>> RandOutPaintingd("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    deformation = RandOutPainting


def _as_volume(image: np.ndarray) -> np.ndarray:
    """A view of the image as (C, X, Y, Z)."""
    return image[:, None] if image.ndim == 3 else image
