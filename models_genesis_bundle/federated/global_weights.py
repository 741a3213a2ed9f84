"""The global model of a shared pretraining as a weight file of this bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.federated.site import SITE_CONFIGS
from models_genesis_bundle.weights import load_weights, write_weights
from monai.bundle import ConfigParser

__all__ = ["site_config", "write_global_weights"]


def site_config(
    bundle_root: str | Path, configs: Sequence[str] = SITE_CONFIGS, settings: Mapping[str, Any] | None = None
) -> ConfigParser:
    """The configuration of the sites, for the parts that need no scan: ``network_def``, ``scan_preprocessing``."""
    parser = ConfigParser()
    parser.read_config([str(Path(bundle_root) / name) for name in configs])
    parser.update({"bundle_root": str(bundle_root), **(settings or {})})
    return parser


def write_global_weights(
    source: str | os.PathLike, output: str | os.PathLike, config: ConfigParser, record: Mapping[str, Any] | None = None
) -> Path:
    """Write the server's result as a weight file, for ``initial_weights``.

    It records the preprocessing of the sites' scans, which is the same for all, but not the patients.

    Args:
        source: the server's file, as NVFLARE's PyTorch persistor writes it: a mapping with the state dict as ``model``.
        output: the file to write.
        config: as ``site_config`` gives it.
        record: plain values on the training: rounds, sites.

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
