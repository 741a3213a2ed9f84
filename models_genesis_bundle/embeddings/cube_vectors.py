"""Vectors of cubes: the network, perturbations of the cubes, and intensity statistics as a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from models_genesis_bundle.engines import AutocastInferer
from models_genesis_bundle.networks import StageMaps
from monai.inferers import Inferer
from torch import nn
from torch.nn import functional

_POOLINGS: dict[str, Callable[..., torch.Tensor]] = {"mean": torch.mean, "max": torch.amax}
PERTURBATIONS = ("noise", "shift", "flip", "thickness")
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
STATISTICS = ("mean", "sd", *(f"p{percent}" for percent in _PERCENTILES))


def _pooling(name: str) -> Callable[..., torch.Tensor]:
    if name not in _POOLINGS:
        raise ValueError(f"pooling: expected one of {', '.join(_POOLINGS)}, found {name!r}.")
    return _POOLINGS[name]


class Embedder(nn.Module):
    """A network that turns cubes into vectors: the pooled feature map of one stage of its encoder.

    Args:
        network: any network that ``StageMaps`` supports.
        stage: the stage, 1 for the finest; None for the deepest.
        pooling: pooling over the voxels of the map, ``"mean"`` or ``"max"``.
        parts: names of the encoder's modules, see ``StageMaps``; None: for a supported network.

    Shape:
        Input (B, C, X, Y[, Z]); output (B, channels of the stage).

    Raises:
        ValueError: a stage that the encoder does not have, another pooling, or a network whose encoder is not known.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> Embedder(GenesisUNet(features=(4, 8)), stage=1)(torch.zeros(2, 1, 16, 16, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, network: nn.Module, stage: int | None = None, pooling: str = "mean", parts: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        if stage is not None and stage < 1:
            raise ValueError(f"stage: expected 1 (the finest) or more, or null for the deepest, found {stage}.")
        self.maps = StageMaps(network, parts)
        self.stage = stage
        self.pool = _pooling(pooling)

    def stage_map(self, x: torch.Tensor) -> torch.Tensor:
        """The feature map before pooling: (B, channels of the stage, X', Y'[, Z'])."""
        maps = self.maps(x)
        if self.stage is not None and self.stage > len(maps):
            raise ValueError(f"stage: expected one of the encoder's stages 1 … {len(maps)}, found {self.stage}.")
        return (maps[-1] if self.stage is None else maps[self.stage - 1]).float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The vectors of ``x``."""
        return self.pool(self.stage_map(x).flatten(2), dim=2)


@dataclass(frozen=True)
class Perturber:
    """Small perturbations of cubes, which should change their vectors only a little.

    ============= ==========================================================================================
    kind          change
    ============= ==========================================================================================
    ``noise``     Gaussian noise is added, and the result clipped to the range of intensities
    ``shift``     the cube is cut ``shift`` voxels further along each axis
    ``flip``      left and right are exchanged (the first axis)
    ``thickness`` ``slices`` slices (along the last axis) are averaged, and interpolated back to their number
    ============= ==========================================================================================
    """

    value_range: Sequence[float] = (0.0, 1.0)  # smallest and largest intensity
    noise: float = 0.02  # standard deviation of the noise, as a fraction of the range: 0.02 of the CT window is 40 HU
    shift: int = 4  # voxels
    slices: int = 4  # averaged to one

    def corners(self, kind: str | None, corners: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """The lowest ``corners`` (n, axes) of the cubes; ``shift`` moves them along all axes longer than a voxel."""
        if kind != "shift":
            return corners
        return corners + torch.tensor([self.shift if side > 1 else 0 for side in size])

    def cubes(self, kind: str | None, cubes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The perturbed cubes (n, C, X, Y[, Z]); None and ``shift`` change nothing, ``thickness`` needs three axes."""
        if kind == "noise":
            low, high = self.value_range
            drawn = torch.randn(cubes.shape, generator=generator).to(cubes)
            return (cubes + self.noise * (high - low) * drawn).clamp(low, high)
        if kind == "flip":
            return cubes.flip(2)
        if kind == "thickness":
            if cubes.dim() != 5:
                raise ValueError("perturbations: thickness needs cubes of three axes; leave it out for flat images.")
            x, y, z = cubes.shape[2:]
            thick = functional.avg_pool3d(cubes, (1, 1, self.slices), ceil_mode=True, count_include_pad=False)
            return functional.interpolate(thick, (x, y, thick.shape[-1] * self.slices), mode="trilinear")[..., :z]
        return cubes


@dataclass(eq=False)
class CubeVectors(Inferer):
    """Cuts the cubes out of a scan, a few at a time, and turns them into vectors with a network.

    Intensity statistics of the same cubes are a baseline: mean, standard deviation and seven percentiles. Voxels outside of the
    scan have the darkest value.

    The input is a scan (1, C, X, Y[, Z]), the network, and the cubes' lowest corners (1, n, axes). The output is a mapping with
    ``vectors`` (1, n, D), ``statistics`` (1, n, 9), and ``vectors_<kind>``, ``statistics_<kind>`` for each perturbation; with
    `pooling` n is 1. An unknown perturbation or pooling is a ``ValueError``.
    """

    cube_size: Sequence[int]  # sides in voxels; if the last is 1, the network gets slices (B, C, X, Y)
    perturber: Perturber = field(default_factory=Perturber)
    perturbations: Sequence[str] = ()  # kinds of changes with which the same cubes are also embedded
    pooling: str | None = None  # "mean" or "max" over all cubes, for a single vector; None: a vector for each
    batch_size: int = 4  # cubes at a time
    dtype: torch.dtype = torch.float32  # of the network's forward pass; float32: no autocast
    seed: int = 0  # of the noise

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.perturbations if kind not in PERTURBATIONS]:
            raise ValueError(
                f"perturbations: expected names from {', '.join(PERTURBATIONS)}, found {', '.join(unknown)}."
            )
        self.pool = None if self.pooling is None else _pooling(self.pooling)
        self.run = AutocastInferer(self.dtype)

    def __call__(
        self, inputs: torch.Tensor, network: torch.nn.Module, corners: torch.Tensor, *args: object, **kwargs: object
    ) -> dict[str, torch.Tensor]:
        """Embed the cubes of one scan."""
        scan, places = torch.as_tensor(inputs[0]), corners[0].cpu()
        sides, dark = [side for side in self.cube_size if side > 1], self.perturber.value_range[0]
        found: dict[str, torch.Tensor] = {}
        for kind in (None, *self.perturbations):
            generator = torch.Generator().manual_seed(self.seed)
            batches = []
            for some in self.perturber.corners(kind, places, self.cube_size).split(self.batch_size):
                cut = torch.stack([_cut(scan, corner, self.cube_size, dark) for corner in some.tolist()])
                cubes = self.perturber.cubes(kind, cut.reshape(*cut.shape[:2], *sides), generator)
                batches.append((self.run(cubes, network).cpu(), _statistics(cubes)))
            vectors, statistics = (torch.cat(parts) for parts in zip(*batches, strict=True))
            if self.pool is not None:
                vectors, statistics = self.pool(vectors, dim=0)[None], statistics.mean(0)[None]
            ending = f"_{kind}" if kind else ""
            found |= {f"vectors{ending}": vectors[None], f"statistics{ending}": statistics[None]}
        return found


def _cut(scan: torch.Tensor, corner: Sequence[int], size: Sequence[int], outside: float) -> torch.Tensor:
    """The box at a corner, (C, *size), with the value ``outside`` outside of the scan."""
    padding: list[int] = []  # before and after each axis, the last axis first; negative: cropped
    for low, side, end in zip(corner, size, scan.shape[1:], strict=True):
        low = min(max(low, -side), end)  # a box outside is moved next to the scan
        padding = [-low, low + side - end, *padding]
    return functional.pad(scan, padding, value=outside)


def _statistics(cubes: torch.Tensor) -> torch.Tensor:
    values = cubes.float().flatten(1).cpu().numpy()
    rows = [values.mean(1), values.std(1), *np.percentile(values, _PERCENTILES, axis=1)]
    return torch.from_numpy(np.stack(rows, axis=1).astype(np.float32))
