"""The network of a weight file, which restores cubes, and the colours of its features."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.embeddings import Embedder
from models_genesis_bundle.engines import RestorationInferer
from models_genesis_bundle.export.finished_segmentation import configured_network
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.restorations.reading import turned, turned_back
from models_genesis_bundle.weights import CheckpointError, InitialWeights, find_weights, load_weights
from models_genesis_bundle.weights.model_file import RUNS
from monai.bundle import ConfigParser
from monai.inferers import SlidingWindowInferer
from sklearn.decomposition import PCA
from torch.nn import functional

_BATCH = 4
_OVERLAP = 0.25
_PUBLISHED_CUBE = (64, 64, 32)
_PERCENTILES = (2, 98)  # percentiles of a component that become the darkest and the brightest colour
_COLOURS = 3


@dataclass(frozen=True)
class Restorer:
    """A network that restores cubes, and its preprocessing of scans."""

    name: str  # name on the page
    about: str  # a few words about its class and pretraining
    network: torch.nn.Module  # in evaluation mode
    build: Callable[[], torch.nn.Module]  # makes the same network with new weights
    activation: Any  # output activation, for RestorationInferer
    preprocessing: ScanPreprocessing  # as recorded in the weight file
    cube_size: tuple[int, ...]  # sides of the cubes in its pretraining, in voxels

    @classmethod
    def read(cls, name: str, source: str | os.PathLike, network_config: str | os.PathLike | None = None) -> Restorer:
        """Build the network of a weight file (see `compare_restorations`), and load all its weights."""
        path = find_weights(source)
        initial = InitialWeights(path)
        content = initial.content
        if fine_tuned := next((RUNS[key] for key in ("label_names", "class_names") if key in content), None):
            raise CheckpointError(
                f"{path}: the file is from {fine_tuned}, whose network does not restore scans. Give the model.pt of a pretraining."
            )
        if initial.preprocessing is None:
            raise CheckpointError(
                f"{path}: the file has no record of its preprocessing, so scans cannot be prepared as in its pretraining. "
                "Give the model.pt of a pretraining of this bundle, or a published file."
            )
        kind = str(initial.source.network.get("_target_", "unknown network")).rpartition(".")[2]
        network: Any
        build: Callable[[], torch.nn.Module]
        if network_config is not None:
            parser = ConfigParser({"network_def": configured_network(network_config), "out_channels": 1})
            build = partial(parser.get_parsed_content, "network_def", lazy=False)
            network = load_weights(build(), path).eval()
        elif kind == GenesisUNet.__name__:
            network = GenesisUNet.from_pretrained(path)
            build = partial(GenesisUNet, **network.config())
        else:
            raise CheckpointError(
                f"{path}: its network is {kind}, and the file does not define it. Also give the configuration of its run: "
                f"--network_configs \"{{'{name}': 'runs/pretrain/config.yaml'}}\"."
            )
        epoch = f", epoch {content['epoch']}" if "epoch" in content else ""
        settings = network.config() if hasattr(network, "config") else content
        return cls(
            name,
            f"{kind}, pretext {content.get('pretext', 'models_genesis')}{epoch}",
            network,
            build,
            settings.get("output_activation", "sigmoid"),
            ScanPreprocessing.from_record(initial.preprocessing),
            tuple(content.get("cube_size", _PUBLISHED_CUBE)),
        )

    def with_random_weights(self, seed: int) -> Restorer:
        """The same network with random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build().eval()
        return replace(self, name="random weights", about=f"the network of {self.name}, not trained", network=network)

    @property
    def dims(self) -> str:
        """The dimensions of the network's input, in words."""
        return f"{len(self.cube_size)}D cubes of {self.preprocessing.spatial_dims}D scans"

    @property
    def reads(self) -> str:
        """The preprocessing, in words."""
        steps, scaling = self.preprocessing, self.preprocessing.intensity
        ends = "" if scaling.lower is None else f" {scaling.lower:g} … {scaling.upper:g}"
        spacing = "own voxels" if steps.spacing is None else " x ".join(f"{side:g}" for side in steps.spacing) + " mm"
        return f"{scaling.mode}{ends}, {spacing}, {steps.orientation or 'own axes'}"

    def input(self, cubes: torch.Tensor, codes: str) -> torch.Tensor:
        """Convert cubes (n, 1, X, Y[, Z]) in 0 … 1 along right, front, head to the network's input along ``codes``."""
        low, high = self.preprocessing.intensity.value_range
        return turned(cubes, codes) * (high - low) + low

    def restore(self, cubes: torch.Tensor, codes: str, device: torch.device) -> torch.Tensor:
        """Restore cubes; they and the result are in 0 … 1 along right, front and head."""
        inferer = RestorationInferer(torch.float32, self.activation)
        restored = []
        with torch.no_grad():
            for batch in self.input(cubes, codes).split(_BATCH):
                output = inferer(batch.to(device), self.network).cpu()
                if output.shape != batch.shape:
                    raise CheckpointError(
                        f"{self.name}: expected an output of the shape {tuple(batch.shape[1:])} (channels, sides), found "
                        f"{tuple(output.shape[1:])}. Give the model.pt of a pretraining."
                    )
                restored.append(output)
        low, high = self.preprocessing.intensity.value_range
        return (turned_back(torch.cat(restored), codes) - low) / (high - low)


class FeatureColours:
    """Shows the first three principal components of a stage's features as red, green and blue.

    The components are fitted to ``cubes`` (n, 1, X, Y[, Z]), which are inputs of the network. ``share`` is the fraction of the
    variance that they explain. An unknown encoder or stage, or one with fewer than three channels, raises a ``ValueError``.
    """

    def __init__(self, network: torch.nn.Module, cubes: torch.Tensor, stage: int | None, device: torch.device) -> None:
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
        """Colours (1, 3, X, Y[, Z]) in 0 … 1 of a part of a scan (1, 1, X, Y[, Z]) that is at least as large as a cube."""
        mean, weights = (
            torch.as_tensor(part, dtype=torch.float32, device=self.device)
            for part in (self.pca.mean_, self.pca.components_)
        )
        mode = "trilinear" if len(self.window) == 3 else "bilinear"

        def components(windows: torch.Tensor) -> torch.Tensor:
            centred = self.embedder.stage_map(windows).movedim(1, -1) - mean
            return functional.interpolate((centred @ weights.T).movedim(-1, 1), windows.shape[2:], mode=mode)

        inferer = SlidingWindowInferer(
            self.window, _BATCH, _OVERLAP, "gaussian", sw_device=self.device, device="cpu", progress=False
        )
        with torch.no_grad():
            scores = inferer(slab, components)
        low, high = (torch.as_tensor(ends, dtype=torch.float32) for ends in (self.low, self.high))
        scaled = (scores.movedim(1, -1) - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        return scaled.clamp(0, 1).movedim(-1, 1)
