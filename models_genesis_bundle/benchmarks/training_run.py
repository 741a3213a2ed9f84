"""A whole pretraining run, started as a user starts it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models_genesis_bundle.engines import read_metrics

__all__ = ["measure_training", "median_epoch", "short_run"]


def short_run(features: Sequence[int], cube_size: Sequence[int], batch_size: int, epochs: int) -> dict[str, Any]:
    """Settings of a pretraining that ends after a few epochs, and validates, draws and saves after the last one only."""
    return {
        "network_def::features": list(features),
        "cube_size": list(cube_size),
        "batch_size": batch_size,
        "learning_rate": 0.1,
        "max_epochs": epochs,
        **dict.fromkeys(("val_interval", "panel_interval", "save_interval"), epochs),
    }


def measure_training(
    config_files: Sequence[str], settings: Mapping[str, Any], processes: int = 1, threads: int | None = None
) -> list[dict[str, float]]:
    """Run the trainer in a process of its own, or in several under ``torchrun``, and read what it measured of itself.

    Args:
        config_files: a pretraining configuration and overlays.
        settings: what to override in them; ``output_dir`` is a folder in which the run gets one of its own.
        processes: 1, or the number of ``torchrun``'s processes on this machine.
        threads: PyTorch's threads in each process; None leaves the machine's default.

    Returns:
        The lines of ``metrics.csv`` but the first epoch's, in which processes and kernels warm up.

    Raises:
        RuntimeError: the run failed; with the end of what it printed.
    """
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = dict(os.environ) if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with TemporaryDirectory(dir=_made(settings["output_dir"])) as output_dir:
        words = {**settings, "config_file": list(config_files), "output_dir": output_dir}
        command = [
            sys.executable,
            *(launcher if processes > 1 else []),
            *("-m", "monai.bundle", "run", "training"),
            *(word for name, value in words.items() for word in (f"--{name}", str(value))),
        ]
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"The measured run failed: {' '.join(command)}\n{run.stdout[-4000:]}")
        return read_metrics(Path(output_dir, "metrics.csv"))[1:]


def median_epoch(epochs: Sequence[Mapping[str, float]], name: str) -> float:
    """The median of one figure over the epochs of a run or of several."""
    return statistics.median(epoch[name] for epoch in epochs)


def _made(folder: str) -> str:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return folder
