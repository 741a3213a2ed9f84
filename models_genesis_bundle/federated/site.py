"""A site of a federated pretraining, and the resulting global weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights import load_weights, write_weights
from monai.bundle import ConfigParser
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems
from monai.fl.utils.exchange_object import ExchangeObject

CONFIGS = ["configs/pretrain.yaml", "configs/federated.yaml"]


@dataclass(frozen=True)
class SiteUpdate:
    """The data that a site sends after a round."""

    difference: dict[str, torch.Tensor]  # by key: its weights minus the global weights at the start, on the CPU
    cubes: int  # number of training cubes: its weight in the mean
    val_mse: float  # restoration error on its validation cubes, after the round


class PretrainingSite:
    """Trains on the site's own scans, one round at a time, with ``monai.fl.client.MonaiAlgo``.

    Each round starts from the global weights. Epoch, iteration, schedule and the optimizer's momentum continue between rounds.

    Args:
        name: name of the site, for the log.
        bundle_root: the bundle's folder, which contains ``configs``.
        output_dir: folder of the site's metrics, panels and checkpoints, only for this job.
        local_epochs: epochs of a round.
        settings: settings of the configuration, including ``dataset_dir``.

    Raises:
        ValueError: ``resume``, which would replace the global weights of each round, or a ``val_interval`` that does not divide
            ``local_epochs``.
    """

    def __init__(
        self, name: str, bundle_root: str | Path, output_dir: str | Path, local_epochs: int = 1, **settings: Any
    ) -> None:
        if settings.get("resume"):
            raise ValueError("resume: expected false, because each round starts from the global weights; found true.")
        if local_epochs % settings.get("val_interval", 1):
            raise ValueError(
                f"val_interval: expected a divisor of local_epochs={local_epochs}, because a round ends with a validation; "
                f"found {settings['val_interval']}."
            )
        self.local_epochs = local_epochs
        self.algo = MonaiAlgo(
            bundle_root=str(bundle_root),
            local_epochs=local_epochs,
            config_train_filename=CONFIGS,
            config_evaluate_filename=None,
            train_kwargs={"output_dir": str(output_dir), **settings},
        )
        self.algo.initialize({ExtraItems.CLIENT_NAME: name})

    def train(self, weights: Mapping[str, torch.Tensor]) -> SiteUpdate:
        """Train a round from the global weights, a complete state dict; a ``ValueError`` if it is of another network."""
        own, found = set(self.algo.trainer.network.state_dict()), set(weights)
        if own != found:
            raise ValueError(
                f"The global weights are of another network: {len(own - found)} tensors of this site's network are missing and "
                f"{len(found - own)} are unknown, first {sorted(own ^ found)[0]!r}. "
                "All sites and the server need the same `network_def`."
            )
        self.algo.train(ExchangeObject(weights=dict(weights)))
        validator = self.algo.train_workflow.evaluator
        return SiteUpdate(
            difference=dict(self.algo.get_weights().weights),
            cubes=len(self.algo.train_workflow.train_dataset) * self.local_epochs,
            val_mse=float(validator.state.metrics["val_mse"]),
        )

    def finalize(self) -> None:
        """End the site's run."""
        self.algo.finalize()


def read_settings(path: str) -> dict[str, Any]:
    """The settings in a JSON file, which all sites share; none for an empty path."""
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def site_config(bundle_root: str | Path, settings: Mapping[str, Any]) -> ConfigParser:
    """The configuration of the sites, for parts that need no scan: ``network_def``, ``scan_preprocessing``."""
    parser = ConfigParser()
    parser.read_config([str(Path(bundle_root) / name) for name in CONFIGS])
    parser.update({"bundle_root": str(bundle_root), **settings})
    return parser


def write_global_weights(
    source: str | os.PathLike, output: str | os.PathLike, config: ConfigParser, record: Mapping[str, Any] | None = None
) -> Path:
    """Write the server's result as a weight file, for ``initial_weights``.

    It records the preprocessing, which is the same at all sites, but not the patients. The server's file is a mapping with the
    state dict under ``model``, as NVFLARE's PyTorch persistor writes it. ``config`` is a result of ``site_config``, and
    ``record`` has plain values that describe the training: rounds, sites.

    Raises:
        CheckpointError: when the file cannot be read, or is of another network than the configuration's.
    """
    network = load_weights(config.get_parsed_content("network_def"), source)
    return write_weights(
        output,
        network,
        preprocessing=config.get_parsed_content("scan_preprocessing").record(),
        cube_size=config.get_parsed_content("cube_size"),
        output_activation=config.get_parsed_content("output_activation"),
        data={"federated": dict(record or {})},
    )
