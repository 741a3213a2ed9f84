"""The federated pretraining as a job of NVIDIA FLARE; each site runs this file as its client."""

from __future__ import annotations

import shlex
from typing import Any

import fire
import nvflare.client as flare
from models_genesis_bundle.federated import PretrainingSite, read_settings
from models_genesis_bundle.weights import network_record
from monai.bundle import ConfigParser
from nvflare.apis.dxo import DataKind
from nvflare.apis.fl_constant import FLMetaKey
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.client.config import ExchangeFormat, TransferType


def pretraining_job(config: ConfigParser, sites: int, rounds: int, client_arguments: dict[str, Any]) -> FedAvgRecipe:
    """Federated averaging of the sites' weight differences, weighted by their training cubes.

    Torch tensors are sent, because NVFLARE 2.9 drops arrays from differences when the server expects NumPy.

    Args:
        config: the result of ``site_config``; its ``network_def`` is the network.
        sites: number of sites that must answer before a round ends.
        rounds: number of rounds.
        client_arguments: arguments of ``train_rounds``.

    Raises:
        ValueError: for a network without ``config()``, with which the server builds it.
    """
    network = network_record(config.get_parsed_content("network_def"))
    if "arguments" not in network:
        raise ValueError(
            f"{network['_target_']}: expected a network with a method config(), from which the server builds it."
        )
    words = [word for name, value in client_arguments.items() for word in (f"--{name}", str(value))]
    return FedAvgRecipe(
        name="models_genesis_pretraining",
        model={"class_path": network["_target_"], "args": network["arguments"]},
        min_clients=sites,
        num_rounds=rounds,
        train_script=__file__,
        train_args=shlex.join(words),
        aggregator_data_kind=DataKind.WEIGHT_DIFF,
        server_expected_format=ExchangeFormat.PYTORCH,
        params_transfer_type=TransferType.DIFF,
        key_metric="val_mse",
        key_metric_mode="min",
    )


def train_rounds(
    bundle_root: str, dataset_dir: str, output_dir: str, local_epochs: int = 1, settings: str = ""
) -> None:
    """Train a round from the global weights for each request of the server, and send the difference.

    Args:
        bundle_root: the bundle's folder at the site.
        dataset_dir: the site's scans; ``{site}`` is replaced by the site's name.
        output_dir: folder of the site's metrics and checkpoints; ``{site}`` as above.
        local_epochs: epochs of a round.
        settings: a JSON file with more settings of the configuration.
    """
    flare.init()
    name = flare.get_site_name()
    site = PretrainingSite(
        name,
        bundle_root,
        output_dir.format(site=name),
        local_epochs,
        dataset_dir=dataset_dir.format(site=name),
        **read_settings(settings),
    )
    while flare.is_running():
        update = site.train(flare.receive().params)
        flare.send(
            flare.FLModel(
                params=update.difference,
                params_type=flare.ParamsType.DIFF,
                metrics={"val_mse": update.val_mse},
                meta={FLMetaKey.NUM_STEPS_CURRENT_ROUND: update.cubes},
            )
        )
    site.finalize()


if __name__ == "__main__":
    fire.Fire(train_rounds)
