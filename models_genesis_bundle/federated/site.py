"""A site's part of a federated pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems
from monai.fl.utils.exchange_object import ExchangeObject

__all__ = ["SITE_CONFIGS", "PretrainingSite", "SiteUpdate"]

SITE_CONFIGS = ("configs/pretrain.yaml", "configs/federated.yaml")


@dataclass(frozen=True)
class SiteUpdate:
    """The data that a site sends after a round.

    Args:
        difference: by key, the site's weights minus the global ones that the round started from, on the CPU.
        cubes: number of training cubes: the site's weight in the mean.
        val_mse: the site's restoration error on its own validation cubes after the round.
    """

    difference: dict[str, torch.Tensor]
    cubes: int
    val_mse: float


class PretrainingSite:
    """Trains on the site's own scans, a round at a time, by ``monai.fl.client.MonaiAlgo``.

    Epoch, iteration, schedule and the optimizer's momentum continue between rounds; each round starts from the global
    weights.

    Args:
        name: of the site, for the log.
        bundle_root: the bundle's folder, which holds ``configs``.
        output_dir: folder of the site's metrics, panels and checkpoints, for this job alone.
        local_epochs: epochs of a round.
        configs: configuration files, relative to ``bundle_root``.
        settings: of these files, ``dataset_dir`` among them.
    """

    def __init__(
        self,
        name: str,
        bundle_root: str | Path,
        output_dir: str | Path,
        local_epochs: int = 1,
        configs: Sequence[str] = SITE_CONFIGS,
        **settings: Any,
    ) -> None:
        self.local_epochs = local_epochs
        self.algo = MonaiAlgo(
            bundle_root=str(bundle_root),
            local_epochs=local_epochs,
            config_train_filename=list(configs),
            config_evaluate_filename=None,
            train_kwargs={"output_dir": str(output_dir), **settings},
        )
        self.algo.initialize({ExtraItems.CLIENT_NAME: name})

    def train(self, weights: Mapping[str, torch.Tensor]) -> SiteUpdate:
        """Train a round from the global weights.

        Args:
            weights: the whole state dict of the network, as tensors.

        Raises:
            ValueError: when ``weights`` lacks a tensor of the network, or has an unknown one.
        """
        self._require_whole(weights)
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

    def _require_whole(self, weights: Mapping[str, torch.Tensor]) -> None:
        own, found = set(self.algo.trainer.network.state_dict()), set(weights)
        if own != found:
            raise ValueError(
                f"The global weights are of another network: {len(own - found)} tensors of this site's are missing and "
                f"{len(found - own)} are unknown, first {sorted(own ^ found)[0]!r}. "
                "All sites and the server need the same `network_def`."
            )
