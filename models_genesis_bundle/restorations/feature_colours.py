"""Features as colour: the first three principal components of a stage's map."""

from __future__ import annotations

import numpy as np
import torch
from models_genesis_bundle.embeddings import Embedder
from monai.inferers import SlidingWindowInferer
from sklearn.decomposition import PCA
from torch import nn

__all__ = ["FeatureColours"]

_BATCH = 4
_OVERLAP = 0.25
_PERCENTILES = (2, 98)  # of the components over the cubes: the darkest and the brightest of each colour
_COLOURS = 3


class FeatureColours:
    """Colours of the features of one network: the first three principal components as red, green and blue.

    ``share`` is the part of the features' variance that the three components hold.

    Args:
        network: any network that ``StageMaps`` knows.
        cubes: (n, 1, X, Y[, Z]), as the network takes them; the components are those of their features.
        stage: 1 for the finest; None for the deepest.
        device: of the network.

    Raises:
        ValueError: the encoder does not have the stage, or is not known, or the stage has fewer than three channels.
    """

    def __init__(self, network: nn.Module, cubes: torch.Tensor, stage: int | None, device: torch.device) -> None:
        self.embedder = Embedder(network, stage)
        self.window, self.device = cubes.shape[2:], device
        with torch.no_grad():
            maps = torch.cat([self.embedder.stage_map(batch.to(device)).cpu() for batch in cubes.split(_BATCH)])
        if maps.shape[1] < _COLOURS:
            raise ValueError(f"stage: expected one with 3 channels or more, for three colours, found {maps.shape[1]}.")
        self.pca = PCA(_COLOURS, svd_solver="covariance_eigh")
        scores = self.pca.fit_transform(maps.movedim(1, -1).flatten(0, -2).numpy())
        self.share = float(self.pca.explained_variance_ratio_.sum())
        self.low, self.high = np.percentile(scores, _PERCENTILES, axis=0)

    def __call__(self, slab: torch.Tensor) -> torch.Tensor:
        """Colour a part of a scan (1, 1, X, Y[, Z]) by sliding window: (1, 3, X, Y[, Z]) in 0 … 1.

        No side may be shorter than the cubes'.
        """
        weights = torch.as_tensor(self.pca.components_, dtype=torch.float32, device=self.device)
        mean = torch.as_tensor(self.pca.mean_, dtype=torch.float32, device=self.device)
        mode = "trilinear" if len(self.window) == 3 else "bilinear"

        def components(windows: torch.Tensor) -> torch.Tensor:
            centred = self.embedder.stage_map(windows).movedim(1, -1) - mean
            return nn.functional.interpolate((centred @ weights.T).movedim(-1, 1), windows.shape[2:], mode=mode)

        inferer = SlidingWindowInferer(
            self.window, _BATCH, _OVERLAP, "gaussian", sw_device=self.device, device="cpu", progress=False
        )
        with torch.no_grad():
            scores = inferer(slab, components)
        low, high = (torch.as_tensor(ends, dtype=torch.float32) for ends in (self.low, self.high))
        scaled = (scores.movedim(1, -1) - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        return scaled.clamp(0, 1).movedim(-1, 1)
