"""The federated pretraining as a job of NVIDIA FLARE."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from models_genesis_bundle.weights import network_record
from monai.bundle import ConfigParser
from nvflare.apis.dxo import DataKind
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.client.config import ExchangeFormat, TransferType

__all__ = ["pretraining_job"]

CLIENT_SCRIPT = Path(__file__).with_name("nvflare_client.py")


def pretraining_job(config: ConfigParser, sites: int, rounds: int, client_arguments: dict[str, Any]) -> FedAvgRecipe:
    """Federated averaging of the sites' weight differences, weighted by their training cubes.

    Torch tensors are sent: NVFLARE 2.9 drops arrays from differences when the server expects NumPy's.

    Args:
        config: as ``site_config`` gives it; its ``network_def`` is the network.
        sites: number that must answer before a round ends.
        rounds: number of rounds.
        client_arguments: for ``nvflare_client.py``.

    Raises:
        ValueError: for a network without ``config()``, from which the server builds it.
    """
    network = network_record(config.get_parsed_content("network_def"))
    if "arguments" not in network:
        raise ValueError(
            f"{network['_target_']}: the server builds the network from what config() returns; it has no config()."
        )
    words = [word for name, value in client_arguments.items() for word in (f"--{name}", str(value))]
    return FedAvgRecipe(
        name="models_genesis_pretraining",
        model={"class_path": network["_target_"], "args": network["arguments"]},
        min_clients=sites,
        num_rounds=rounds,
        train_script=str(CLIENT_SCRIPT),
        train_args=shlex.join(words),
        aggregator_data_kind=DataKind.WEIGHT_DIFF,
        server_expected_format=ExchangeFormat.PYTORCH,
        params_transfer_type=TransferType.DIFF,
        key_metric="val_mse",
        key_metric_mode="min",
    )
