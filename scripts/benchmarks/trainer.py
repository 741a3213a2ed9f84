"""Whole pretrainings, started as a user starts them: by loader workers, and by processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from models_genesis_bundle.engines import read_metrics

from benchmarks.measuring import Row, describe_machine, report
from benchmarks.phantom_pretraining import TRAINING_SCANS, phantom_settings


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


def benchmark_end_to_end(
    config_file: str = "configs/pretrain.yaml",
    workers: Sequence[int] = (0, 1, 2),
    features: Sequence[int] = (16, 32, 64, 128),
    cube_size: Sequence[int] = (48, 48, 24),
    iterations: int = 4,
    batch_size: int = 6,
    epochs: int = 3,
    rounds: int = 1,
    json_path: str | os.PathLike | None = None,
) -> list[Row]:
    """Run the configuration's trainer with different numbers of loader workers, in turns.

    All of it runs as in a user's run: store, loader, step, handlers, validation after the last epoch. The numbers are the
    trainer's own (`engines.Throughput`): training time without validation. The first epoch does not count.

    Args:
        config_file: a pretraining configuration.
        workers: numbers of the loader's worker processes.
        features: widths of the network; by default the shipped weights' network.
        cube_size: sides of the cubes in voxels.
        iterations: steps of an epoch.
        batch_size: cubes of a step, an even number.
        epochs: epochs of a run, at least 2.
        rounds: runs for each number of workers.
        json_path: a file for the rows as well.

    Returns:
        A row for each number of workers: ``workers``, ``cubes_per_second`` and ``waiting_percent`` of the training time
        (medians of the epochs of all rounds).
    """
    machine = describe_machine()
    with phantom_settings() as settings:
        settings |= short_run(features, cube_size, batch_size, epochs)
        settings["cubes_per_scan"] = iterations * batch_size // TRAINING_SCANS
        measured: dict[int, list[dict[str, float]]] = {count: [] for count in workers}
        for _ in range(rounds):
            for count in workers:
                measured[count] += measure_training([config_file], settings | {"num_workers": count})
    rows = [
        {
            "workers": count,
            "cubes_per_second": median_epoch(lines, "cubes_per_second"),
            "waiting_percent": 100 * median_epoch(lines, "data_wait_fraction"),
        }
        for count, lines in measured.items()
    ]
    return report("end_to_end", machine, rows, json_path)


def benchmark_ddp(
    config_files: Sequence[str] = ("configs/pretrain.yaml", "configs/multi_gpu.yaml"),
    processes: Sequence[int] = (1, 2),
    features: Sequence[int] = (16, 32, 64, 128),
    cube_size: Sequence[int] = (48, 48, 24),
    iterations: int = 2,
    batch_size: int = 6,
    epochs: int = 3,
    rounds: int = 1,
    json_path: str | os.PathLike | None = None,
) -> list[Row]:
    """Run the trainer in one and in more processes under ``torchrun``, in turns; the batch of a process stays the same.

    One process is one GPU (NCCL), or one thread of a CPU (Gloo) where there is no GPU. Every process makes ``iterations`` steps
    an epoch, so that a run with more processes sees more cubes. The first epoch does not count.

    Args:
        config_files: a pretraining configuration and the overlay for several processes; a single process runs without the
            overlay.
        processes: numbers of processes, the first being what the others are compared with.
        features: widths of the network; by default the shipped weights' network.
        cube_size: sides of the cubes in voxels.
        iterations: steps of an epoch.
        batch_size: cubes of a process's step, an even number.
        epochs: epochs of a run, at least 2.
        rounds: runs for each number of processes.
        json_path: a file for the rows as well.

    Returns:
        A row for each number of processes: ``processes``, ``cubes_per_second`` of all of them together (median of the
        epochs), ``efficiency_percent``: 100 where n processes are n times as fast.
    """
    machine = describe_machine()
    threads = None if torch.cuda.is_available() else 1
    measured: dict[int, list[dict[str, float]]] = {count: [] for count in processes}
    with phantom_settings() as settings:
        settings |= short_run(features, cube_size, batch_size, epochs)
        for _ in range(rounds):
            for count in processes:
                more = {
                    "cubes_per_scan": count * iterations * batch_size // TRAINING_SCANS,
                    "cache_dir": f"{settings['cache_dir']}_{count}",
                }
                files = config_files if count > 1 else config_files[:1]
                measured[count] += measure_training(files, settings | more, count, threads)
    speeds = {count: count * median_epoch(lines, "cubes_per_second") for count, lines in measured.items()}
    first = processes[0]
    rows = [
        {
            "processes": count,
            "cubes_per_second": speed,
            "efficiency_percent": 100 * speed / speeds[first] * first / count,
        }
        for count, speed in speeds.items()
    ]
    return report("ddp", machine, rows, json_path)
