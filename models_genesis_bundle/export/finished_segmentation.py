"""The weight file of a fine-tuned segmentation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from models_genesis_bundle import networks
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.messages import unwrapped
from models_genesis_bundle.weights import read_weights, require_same_network
from models_genesis_bundle.weights.model_file import require_recorded_arguments
from monai.bundle import ConfigParser

RECORDS = ("network", "label_names", "patch_size", "preprocessing")
# The networks that a weight file's record may define, and arguments for weights that are loaded later.
NETWORKS: dict[str, dict[str, Any]] = {
    "GenesisUNet": {},
    "SlicewiseGenesisUNet": {},
    "SlicewiseUNet": {"pretrained": False},
}


class ExportError(RuntimeError):
    """A network could not be exported; the message names the file and what to do."""


@dataclass(frozen=True)
class FinishedSegmentation:
    """A weight file of ``finetune_segmentation.yaml``, and the definition of its network."""

    path: Path
    content: dict[str, Any]  # label_names are the classes 1, 2, …; 0 is the background
    network_def: dict[str, Any]  # for a configuration; it may refer to @in_channels and @out_channels

    @classmethod
    def read(
        cls, ckpt_path: str | os.PathLike, network_config: str | os.PathLike | None = None
    ) -> FinishedSegmentation:
        """Read the file, and check that the definition fits its network.

        ``network_config`` is a configuration with ``network_def``, such as the run's ``config.yaml``; networks that are not in
        ``NETWORKS`` need it. Configurations can run code: give one that you trust.

        Raises:
            ExportError: when the file is not of a segmentation, or the network is not defined or cannot be built.
            CheckpointError: when it cannot be read, or is of another network than the configuration's.
        """
        path, content = Path(ckpt_path), read_weights(ckpt_path)
        if missing := [name for name in RECORDS if name not in content]:
            raise ExportError(
                f"{path}: not a fine-tuned segmentation: it has no {', '.join(missing)}. Give the checkpoints/model.pt of a run "
                "of configs/finetune_segmentation.yaml."
            )
        names = content["label_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ExportError(f"{path}: expected a list of strings as label_names, found {names!r:.80}.")
        try:
            json.dumps({name: content.get(name) for name in (*RECORDS, "metrics", "data")})
        except (TypeError, ValueError) as error:
            raise ExportError(
                f"{path}: its records are not plain values ({error}), so it cannot be exported."
            ) from error
        if network_config is None:
            definition = recorded_network(path, content["network"])
        else:
            definition = configured_network(network_config)
        segmentation = cls(path, content, definition)
        channels = {"in_channels": segmentation.preprocessing.num_channels, "out_channels": len(names) + 1}
        try:
            network = ConfigParser({"network_def": definition, **channels}).get_parsed_content("network_def")
        except Exception as error:  # a class may raise any error
            raise ExportError(f"{network_config or path}: its network cannot be built: {unwrapped(error)}") from error
        require_same_network(network, content, path)
        require_recorded_arguments(network, content["network"], path)
        return segmentation

    @cached_property
    def preprocessing(self) -> ScanPreprocessing:
        """The recorded preprocessing of the scans."""
        return ScanPreprocessing.from_record(self.content["preprocessing"])


def recorded_network(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The network definition in a weight file's record, if it is one of ``NETWORKS``; otherwise an ``ExportError``."""
    module, _, name = record["_target_"].rpartition(".")
    if not f"{module}.".startswith(f"{networks.__name__}.") or name not in NETWORKS or "arguments" not in record:
        raise ExportError(
            f"{path}: the file does not define the arguments of its {name}; files define them only for {', '.join(NETWORKS)}. "
            "Give the configuration of the run: `--network_config runs/finetune_segmentation/config.yaml`."
        )
    return {"_target_": f"{networks.__name__}.{name}", **record["arguments"], **NETWORKS[name]}


def configured_network(network_config: str | os.PathLike) -> dict[str, Any]:
    """The network definition in a configuration, without ``_requires_``; an ``ExportError`` if there is none."""
    try:
        config = ConfigParser.load_config_file(network_config)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ExportError(f"{network_config}: it cannot be read as a configuration ({error}).") from error
    definition = config.get("network_def") if isinstance(config, dict) else None
    if not isinstance(definition, dict):
        raise ExportError(f"{network_config}: it defines no network: the key 'network_def' is missing.")
    return {key: value for key, value in definition.items() if key != "_requires_"}
