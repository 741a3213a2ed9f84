"""The pretraining that is measured: a configuration of this bundle, on a few phantoms in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models_genesis_bundle.data import make_phantoms
from monai.bundle import ConfigParser

TRAINING_SCANS = 2


@contextmanager
def phantom_settings() -> Iterator[dict[str, Any]]:
    """Make three phantoms, two to train with, and give the settings that let a pretraining configuration find them.

    Yields:
        ``dataset_dir``, ``output_dir``, ``cache_dir``, ``volumes::num_workers``, ``split::validation_fraction``. The folders are
        removed at the end.
    """
    with TemporaryDirectory(prefix="genesis_benchmark_", ignore_cleanup_errors=True) as folder:
        side = 80
        make_phantoms(f"{folder}/phantoms", TRAINING_SCANS + 1, (side, side, side), (320 / side,) * 3)
        yield {
            "dataset_dir": str(Path(folder, "phantoms", "images")),
            "output_dir": str(Path(folder, "run")),
            "cache_dir": str(Path(folder, "cache")),
            "volumes::num_workers": 0,
            "split::validation_fraction": 1 / (TRAINING_SCANS + 1),
        }


def pretraining_part(part: str, config_file: str, settings: dict[str, Any]) -> Any:
    """Build one part of a pretraining configuration, for example ``train::dataloader``, under some of its settings."""
    parser = ConfigParser()
    parser.read_config(config_file)
    parser.update(settings)
    return parser.get_parsed_content(part)
