"""The base class of in-painting and out-painting: windows and their fill."""

from __future__ import annotations

import numpy as np
from models_genesis_bundle.transforms.array_io import apply_float32, spatial_sides
from models_genesis_bundle.transforms.intensity_range import check_intensity_range
from monai.config import NdarrayOrTensor
from monai.transforms import RandomizableTransform

__all__ = ["RandPainting"]

FILLS = ("noise", "constant")


class RandPainting(RandomizableTransform):
    """Draws some windows; the subclass paints inside or outside of them.

    Args:
        prob: probability of the deformation.
        side_fractions: smallest and largest fraction of a side in a draw; see the subclass.
        margin: voxels between a window and each face of the image.
        max_windows: largest number of windows.
        stop_prob: probability of stopping, drawn before a window.
        fill: ``"noise"``, uniform in the intensity range for each voxel, as the published code does, or ``"constant"``,
            one uniform value, as the paper says.
        intensity_range: smallest and largest intensity.
    """

    def __init__(
        self,
        prob: float,
        side_fractions: tuple[tuple[int, int], tuple[int, int]],
        margin: int,
        max_windows: int,
        stop_prob: float,
        fill: str,
        intensity_range: tuple[float, float],
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
        if fill not in FILLS:
            raise ValueError(f"{name}: fill must be one of {', '.join(FILLS)}, got {fill!r}.")
        self.side_fractions = side_fractions
        self.margin = margin
        self.max_windows = max_windows
        self.stop_prob = stop_prob
        self.fill = fill
        self.intensity_range = check_intensity_range(intensity_range, name)
        self.corners = np.zeros((0, 3), dtype=np.int64)
        self.sizes = np.zeros((0, 3), dtype=np.int64)
        self.constants: list[float] = []
        self.seed = 0

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Draw whether to deform, the windows, and what fills them."""
        super().randomize(None)
        sides = spatial_sides(image, type(self).__name__)
        ranges = [self._size_range(side) for side in sides]
        self._require_room(sides, ranges)
        dims = len(sides)
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
                for draw, side, extent in zip(draws[1 + dims :], sides, size, strict=True)
            ]
            corners.append([0] * (3 - dims) + corner)
            sizes.append([1] * (3 - dims) + size)
        self.corners = np.array(corners, dtype=np.int64).reshape(-1, 3)
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 3)
        self.constants = self.R.uniform(*self.intensity_range, size=max(1, len(corners))).tolist()
        self.seed = int(self.R.randint(2**32, dtype=np.uint64))

    def __call__(self, image: NdarrayOrTensor, randomize: bool = True) -> NdarrayOrTensor:
        """Deform ``image``, which is not changed; ``randomize=False`` applies the last draw again."""
        if randomize:
            self.randomize(image)
        if not self._do_transform:
            return image
        return apply_float32(image, self._paint_in_3d)

    def _paint_in_3d(self, image: np.ndarray) -> np.ndarray:
        if image.ndim == 3:
            return self.paint(image[:, None])[:, 0]
        return self.paint(image)

    def paint(self, image: np.ndarray) -> np.ndarray:
        """A painted copy of ``image`` (C, X, Y, Z), float32."""
        raise NotImplementedError

    def _size_range(self, side: int) -> tuple[int, int]:
        """Smallest and largest size of a window along a side of the image."""
        raise NotImplementedError

    def _may_stop_before(self, window: int) -> bool:
        """Whether stopping is drawn before this window, counted from 0."""
        raise NotImplementedError

    def _require_room(self, sides: tuple[int, ...], ranges: list[tuple[int, int]]) -> None:
        for axis, (side, (low, high)) in enumerate(zip(sides, ranges, strict=True)):
            if low < 1 or high + 2 * self.margin > side:
                raise ValueError(
                    f"{type(self).__name__}: side {axis} of the image has {side} voxels, too few for windows of {low} to "
                    f"{high} voxels with a margin of {self.margin}; use larger cubes, or a smaller margin."
                )
