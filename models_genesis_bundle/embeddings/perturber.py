"""Small changes of cubes that should change their vectors little."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

__all__ = ["PERTURBATIONS", "Perturber"]

PERTURBATIONS = ("noise", "shift", "flip", "thickness")


class Perturber:
    """Adds noise to cubes, moves them, flips them, or makes their slices thick.

    ============= ==========================================================================================
    kind          what is done
    ============= ==========================================================================================
    ``noise``     Gaussian noise is added, the result clipped to the range of intensities
    ``shift``     the cube is taken at another place, so many voxels further along each axis
    ``flip``      left and right are exchanged (the first axis)
    ``thickness`` so many slices (along the last axis) are averaged, and interpolated back to their number
    ============= ==========================================================================================

    Args:
        value_range: smallest and largest intensity.
        noise: standard deviation of the noise as a share of the range: 0.02 of the CT window is 40 HU.
        shift: voxels.
        slices: how many become one.
    """

    def __init__(
        self, value_range: Sequence[float] = (0.0, 1.0), noise: float = 0.02, shift: int = 4, slices: int = 4
    ) -> None:
        self.low, self.high = value_range
        self.noise = noise
        self.shift = shift
        self.slices = slices

    def corners(self, kind: str | None, corners: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Where the cubes are taken: ``corners`` (n, axes), moved for a ``shift`` along the axes that a cube has."""
        if kind != "shift":
            return corners
        return corners + torch.tensor([self.shift if side > 1 else 0 for side in size])

    def cubes(self, kind: str | None, cubes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The cubes (n, C, X, Y[, Z]), changed; None and ``shift`` leave them as they are.

        Raises:
            ValueError: ``thickness`` of flat images.
        """
        if kind == "noise":
            drawn = torch.randn(cubes.shape, generator=generator).to(cubes)
            return (cubes + self.noise * (self.high - self.low) * drawn).clamp(self.low, self.high)
        if kind == "flip":
            return cubes.flip(2)
        if kind == "thickness":
            return self._thick(cubes)
        return cubes

    def _thick(self, cubes: torch.Tensor) -> torch.Tensor:
        if cubes.dim() != 5:
            raise ValueError("perturbations: thickness needs cubes of three axes; leave it out for flat images.")
        x, y, z = cubes.shape[2:]
        thick = functional.avg_pool3d(cubes, (1, 1, self.slices), ceil_mode=True, count_include_pad=False)
        size = (x, y, thick.shape[-1] * self.slices)
        return functional.interpolate(thick, size, mode="trilinear", align_corners=False)[..., :z]
