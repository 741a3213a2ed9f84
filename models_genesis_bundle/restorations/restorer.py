"""The network of a weight file, which restores cubes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.engines import RestorationInferer
from models_genesis_bundle.export.finished_segmentation import configured_network
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.restorations.reading import Axes
from models_genesis_bundle.weights import CheckpointError, InitialWeights, find_weights, load_weights
from models_genesis_bundle.weights.model_file import RUNS
from monai.bundle import ConfigParser

__all__ = ["Restorer"]

_BATCH = 4
_PUBLISHED_CUBE = (64, 64, 32)


@dataclass(frozen=True)
class Restorer:
    """A network that restores cubes, and its preprocessing of scans.

    Attributes:
        name: on the page.
        about: its class and its pretraining, in a few words.
        network: in evaluation mode.
        build: makes the same network with new weights.
        activation: of the output, as ``RestorationInferer`` takes it.
        preprocessing: as the weights record it.
        cube_size: sides of the cubes of its pretraining, one for each axis of the network.
    """

    name: str
    about: str
    network: torch.nn.Module
    build: Callable[[], torch.nn.Module]
    activation: Any
    preprocessing: ScanPreprocessing
    cube_size: tuple[int, ...]

    @classmethod
    def read(cls, name: str, source: str | os.PathLike, network_config: str | os.PathLike | None = None) -> Restorer:
        """Build the network of a weight file (see ``find_weights``) and load all of its weights.

        A network other than ``GenesisUNet`` needs a configuration with its ``network_def``: the run's ``config.yaml``.
        Configurations run code: give your own, or one that you trust.

        Raises:
            CheckpointError: the file does not exist, cannot be read, or its network restores nothing.
            ExportError: the configuration defines no network.
            TransferError: the weights do not fit the network.
        """
        path = find_weights(source)
        initial = InitialWeights(path)
        content, record = initial.content, initial.source.network
        if fine_tuned := next((RUNS[key] for key in ("label_names", "class_names") if key in content), None):
            raise CheckpointError(
                f"{path}: the file is of {fine_tuned}, whose network restores nothing. Give the model.pt of a pretraining."
            )
        if initial.preprocessing is None:
            raise CheckpointError(
                f"{path}: the file has no record of its preprocessing, without which scans cannot be read as in its pretraining. "
                "Give the model.pt of a pretraining of this bundle, or a published file."
            )
        kind = str(record.get("_target_", "unknown network")).rpartition(".")[2]
        network: Any
        if network_config is not None:
            parser = ConfigParser({"network_def": configured_network(network_config), "out_channels": 1})

            def build() -> torch.nn.Module:
                return parser.get_parsed_content("network_def", lazy=False)

            network = load_weights(build(), path).eval()
        elif kind == GenesisUNet.__name__:
            network = GenesisUNet.from_pretrained(path)

            def build() -> torch.nn.Module:
                return GenesisUNet(**network.config())
        else:
            raise CheckpointError(
                f"{path}: its network is {kind}, and the file does not define it. Give the configuration of its run as well: "
                f"--network_configs \"{{'{name}': 'runs/pretrain/config.yaml'}}\"."
            )
        pretext = content.get("pretext", "models_genesis")
        about = [kind, f"pretext {pretext}", *([f"epoch {content['epoch']}"] if "epoch" in content else [])]
        own = network.config() if hasattr(network, "config") else content
        return cls(
            name,
            ", ".join(about),
            network,
            build,
            own.get("output_activation", "sigmoid"),
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
        """The form of the network's input, in words."""
        return f"{len(self.cube_size)}D cubes of {self.preprocessing.spatial_dims}D scans"

    @property
    def reads(self) -> str:
        """The preprocessing, in words."""
        steps, scaling = self.preprocessing, self.preprocessing.intensity
        ends = "" if scaling.lower is None else f" {scaling.lower:g} … {scaling.upper:g}"
        spacing = "own voxels" if steps.spacing is None else " x ".join(f"{side:g}" for side in steps.spacing) + " mm"
        return f"{scaling.mode}{ends}, {spacing}, {steps.orientation or 'own axes'}"

    def scaled(self, cubes: torch.Tensor) -> torch.Tensor:
        """Cubes in 0 … 1, scaled to the range of the network's input."""
        low, high = self.preprocessing.intensity.value_range
        return cubes * (high - low) + low

    def restore(self, cubes: torch.Tensor, axes: Axes, device: torch.device) -> torch.Tensor:
        """Restore cubes (n, 1, X, Y[, Z]), 0 … 1, along right, front and head; ``axes`` are those of the network.

        Raises:
            CheckpointError: the network's output has another shape than its input.
        """
        inferer = RestorationInferer(torch.float32, self.activation)
        restored = []
        with torch.no_grad():
            for batch in self.scaled(axes.turned(cubes)).split(_BATCH):
                output = inferer(batch.to(device), self.network).cpu()
                if output.shape != batch.shape:
                    raise CheckpointError(
                        f"{self.name}: the network makes {tuple(output.shape[1:])} (channels, sides) of {tuple(batch.shape[1:])}, "
                        "which is no restored cube. Give the model.pt of a pretraining."
                    )
                restored.append(output)
        low, high = self.preprocessing.intensity.value_range
        return (axes.turned_back(torch.cat(restored)) - low) / (high - low)
