"""From a scan and the places of its cubes to their vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from models_genesis_bundle.embeddings.embedder import pool
from models_genesis_bundle.embeddings.perturber import PERTURBATIONS, Perturber
from models_genesis_bundle.engines import AutocastInferer
from monai.inferers import Inferer

__all__ = ["STATISTICS", "CubeVectors"]

_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
STATISTICS = ("mean", "sd", *(f"p{percent}" for percent in _PERCENTILES))


class CubeVectors(Inferer):
    """Cuts the cubes of a scan, a few at a time, and has a network turn them into vectors.

    Next to the vectors it gives plain statistics of the same cubes' intensities, which vectors have to be worth more than:
    mean, standard deviation, and seven percentiles. Where a cube reaches over the scan's border it has the darkest value.

    Args:
        cube_size: sides of a cube in voxels; for slices of volumes the last is 1, and the network gets (B, C, X, Y).
        perturber: what changes the cubes.
        perturbations: kinds out of ``PERTURBATIONS``: the same cubes are also embedded changed in each of these ways.
        pooling: ``"mean"`` or ``"max"`` over all cubes, for one vector of the scan (its statistics are the cubes' mean); None: a
            vector for each cube.
        batch_size: cubes at a time.
        dtype: of the network's forward pass; ``torch.float32``: no autocast.
        seed: of the noise.

    Shape:
        Call with a scan (1, C, X, Y[, Z]), the network, and the cubes' lowest corners (1, n, axes). The result is a mapping:
        ``vectors`` (1, n, D), ``statistics`` (1, n, 9), and ``vectors_<kind>``, ``statistics_<kind>`` for each perturbation;
        with `pooling` n is 1.

    Raises:
        ValueError: for an unknown perturbation.
    """

    def __init__(
        self,
        cube_size: Sequence[int],
        perturber: Perturber | None = None,
        perturbations: Sequence[str] = (),
        pooling: str | None = None,
        batch_size: int = 4,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if unknown := [kind for kind in perturbations if kind not in PERTURBATIONS]:
            raise ValueError(f"perturbations: expected some of {', '.join(PERTURBATIONS)}, found {', '.join(unknown)}.")
        self.size = tuple(int(side) for side in cube_size)
        self.perturber = perturber or Perturber()
        self.kinds = (None, *perturbations)
        self.pooling = pooling
        self.batch_size = batch_size
        self.run = AutocastInferer(dtype)
        self.seed = seed

    def __call__(
        self, inputs: torch.Tensor, network: torch.nn.Module, corners: torch.Tensor, *args: object, **kwargs: object
    ) -> dict[str, torch.Tensor]:
        """Embed the cubes of one scan."""
        scan, places = torch.as_tensor(inputs[0]), corners[0].cpu()
        found: dict[str, torch.Tensor] = {}
        for kind in self.kinds:
            generator = torch.Generator().manual_seed(self.seed)
            batches = [
                self._embed(scan, some, network, kind, generator)
                for some in self.perturber.corners(kind, places, self.size).split(self.batch_size)
            ]
            vectors, statistics = (torch.cat(parts) for parts in zip(*batches, strict=True))
            if self.pooling is not None:
                vectors, statistics = pool(vectors, self.pooling, 0)[None], statistics.mean(0)[None]
            ending = f"_{kind}" if kind else ""
            found |= {f"vectors{ending}": vectors[None], f"statistics{ending}": statistics[None]}
        return found

    def _embed(
        self,
        scan: torch.Tensor,
        corners: torch.Tensor,
        network: torch.nn.Module,
        kind: str | None,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        cut = torch.stack([_cut(scan, corner, self.size, self.perturber.low) for corner in corners.tolist()])
        flat = cut.reshape(*cut.shape[:2], *(side for side in self.size if side > 1))
        cubes = self.perturber.cubes(kind, flat, generator)
        return self.run(cubes, network).cpu(), _statistics(cubes)


def _cut(scan: torch.Tensor, corner: Sequence[int], size: Sequence[int], outside: float) -> torch.Tensor:
    """The box at a corner, (C, *size); what lies outside of the scan has one value."""
    box = scan.new_full((scan.shape[0], *size), outside)
    sides = zip(corner, size, scan.shape[1:], strict=True)
    inside = [(max(low, 0), min(low + side, end), low) for low, side, end in sides]
    if all(first < last for first, last, _ in inside):
        target = (slice(None), *(slice(first - low, last - low) for first, last, low in inside))
        box[target] = scan[(slice(None), *(slice(first, last) for first, last, _ in inside))]
    return box


def _statistics(cubes: torch.Tensor) -> torch.Tensor:
    values = cubes.float().flatten(1).cpu().numpy()
    rows = [values.mean(1), values.std(1), *np.percentile(values, _PERCENTILES, axis=1)]
    return torch.from_numpy(np.stack(rows, axis=1).astype(np.float32))
