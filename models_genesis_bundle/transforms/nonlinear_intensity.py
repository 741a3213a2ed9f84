"""Non-linear intensity transformation."""

from __future__ import annotations

import math

import numpy as np
from models_genesis_bundle.transforms.deformation import RandDeformation, RandDeformationd, require_range
from models_genesis_bundle.transforms.kernels import map_values
from monai.config import NdarrayOrTensor

STEPS = np.linspace(0, 1, 1024)  # intensities at which the curve is tabulated


class RandNonlinearIntensity(RandDeformation):
    """Maps intensities by a random Bézier curve. This changes appearance and keeps shape.

    The curve goes from (0, 0) to (1, 1), the corners of the intensity range, and its control points are uniform in the
    square between them. The points of the curve are sorted along both axes, so that the map increases. With probability
    ``decreasing_prob`` it decreases. The ends of the intensity range map exactly to its ends. Values outside are clipped.

    Args:
        prob: probability of the deformation; 0.9 as published.
        intensity_range: smallest and largest intensity, (0, 1) as published; set it for z-scored or unscaled images.
        decreasing_prob: probability of a decreasing map.
        num_control_points: number of control points between the ends; 2 give the published cubic curve.
        num_points: number of points of the curve; the map is linear between them.

    Shape:
        (C, X, Y) or (C, X, Y, Z) with any sides. The result is float32 of the same shape and type; all channels have the
        same map.

    Raises:
        ValueError: an argument is out of range; at the call, the number of axes is wrong.

    Based on: Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840, doi:10.1016/j.media.2020.101840.

    Examples:
        >>> from models_genesis_bundle.transforms import RandNonlinearIntensity
        >>> increase = RandNonlinearIntensity(prob=1.0, decreasing_prob=0.0).set_random_state(0)
        >>> [float(value) for value in increase(np.array([[[0.0, 1.0]]], np.float32)).ravel()]  # the ends stay
        [0.0, 1.0]
    """

    fits_any_size = True

    def __init__(
        self,
        prob: float = 0.9,
        intensity_range: tuple[float, float] = (0.0, 1.0),
        decreasing_prob: float = 0.5,
        num_control_points: int = 2,
        num_points: int = 1000,
    ) -> None:
        super().__init__(prob)
        if not 0 <= decreasing_prob <= 1:
            raise ValueError(f"RandNonlinearIntensity: decreasing_prob must be in 0 … 1, got {decreasing_prob}.")
        if num_control_points < 0 or num_points < 2:
            raise ValueError(
                "RandNonlinearIntensity: needs num_control_points of at least 0 and num_points of at least 2, "
                f"got {num_control_points} and {num_points}."
            )
        self.intensity_range = require_range(intensity_range, type(self).__name__)
        self.decreasing_prob = decreasing_prob
        self.bernstein = bernstein_polynomials(num_control_points + 1, num_points)
        self.control_points = np.zeros((num_control_points, 2))
        self.decreasing = False

    def randomize(self, image: NdarrayOrTensor) -> None:
        """Choose whether to deform, the control points in the unit square, and the direction."""
        super().randomize(image)
        self.control_points = self.R.uniform(size=self.control_points.shape)
        self.decreasing = bool(self.R.uniform() < self.decreasing_prob)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """The last map in the unit square: increasing x, and y at each x."""
        corners = np.zeros((len(self.control_points) + 2, 2))
        corners[1:-1] = self.control_points
        corners[-1] = 1
        x, y = np.sort((self.bernstein @ corners).T, axis=1)
        return x, y[::-1] if self.decreasing else y

    def deform(self, image: np.ndarray) -> np.ndarray:
        """Map the intensities by the last curve."""
        low, high = self.intensity_range
        table = (low + (high - low) * np.interp(STEPS, *self.curve())).astype(np.float32)
        result = np.empty_like(image)
        rises = np.diff(table, append=table[-1:])
        map_values(image.reshape(-1), result.reshape(-1), table, rises, low, high)
        return result


class RandNonlinearIntensityd(RandDeformationd):
    """Dictionary version of ``RandNonlinearIntensity``; all keys get the same map.

    Its arguments are ``keys``, ``prob``, ``allow_missing_keys`` and the others of ``RandNonlinearIntensity``.

    Examples:
        >>> from models_genesis_bundle.transforms import RandNonlinearIntensityd
        >>> RandNonlinearIntensityd("image", prob=1.0)({"image": np.zeros((1, 48, 48, 24), np.float32)})["image"].shape
        (1, 48, 48, 24)
    """

    deformation = RandNonlinearIntensity


def bernstein_polynomials(degree: int, num_points: int) -> np.ndarray:
    """The Bernstein polynomials of a degree at equally spaced parameters, (num_points, degree + 1); each row sums to 1."""
    parameter = np.linspace(0, 1, num_points)[:, None]
    order = np.arange(degree + 1)
    binomials = np.array([math.comb(degree, one) for one in order])
    return binomials * parameter**order * (1 - parameter) ** (degree - order)
