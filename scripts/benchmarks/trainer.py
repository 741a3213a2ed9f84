"""Whole pretrainings, started as a user starts them, with several numbers of loader workers and of processes."""

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

from benchmarks.measuring import TRAINING_SCANS, Row, describe_machine, phantom_settings, report


def short_run(features: Sequence[int], cube_size: Sequence[int], batch_size: int, epochs: int) -> dict[str, Any]:
    """Settings of a pretraining of a few epochs, which validates, draws and saves only after the last one."""
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
    """Run the trainer in a new process, or in several under ``torchrun``, and read its measurements.

    Returns:
        The lines of ``metrics.csv`` without the first epoch, in which processes and kernels warm up.

    Raises:
        RuntimeError: the run failed; the message has the end of its output.
    """
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = dict(os.environ) if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with TemporaryDirectory() as output_dir:
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
    """The median of a metric over the epochs of one or more runs."""
    return statistics.median(epoch[name] for epoch in epochs)


def benchmark_end_to_end(
    config_file: str = "configs/pretrain.yaml",  # a pretraining configuration
    workers: Sequence[int] = (0, 1, 2),  # numbers of the loader's worker processes
    features: Sequence[int] = (16, 32, 64, 128),  # widths of the network; by default the shipped weights' network
    cube_size: Sequence[int] = (48, 48, 24),  # sides of the cubes in voxels
    iterations: int = 4,  # steps of an epoch
    batch_size: int = 6,  # cubes of a step, an even number
    epochs: int = 3,  # epochs of a run, at least 2
    rounds: int = 1,  # runs for each number of workers
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Run the configuration's trainer with several numbers of loader workers, in turns, as a user does.

    The speeds are those of the trainer (`engines.Throughput`), without validation and without the first epoch.

    Returns:
        A row for each number of workers: ``workers``, ``cubes_per_second`` and ``waiting_percent`` (medians over epochs).
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
    config_files: Sequence[str] = ("configs/pretrain.yaml", "configs/multi_gpu.yaml"),  # second: several processes
    processes: Sequence[int] = (1, 2),  # numbers of processes; the others are compared with the first
    features: Sequence[int] = (16, 32, 64, 128),  # widths of the network; by default the shipped weights' network
    cube_size: Sequence[int] = (48, 48, 24),  # sides of the cubes in voxels
    iterations: int = 2,  # steps of an epoch
    batch_size: int = 6,  # cubes of a process's step, an even number
    epochs: int = 3,  # epochs of a run, at least 2
    rounds: int = 1,  # runs for each number of processes
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Run the trainer in one and in several processes under ``torchrun``, in turns, with the same batch size in each process.

    A process is one GPU (NCCL) or, without a GPU, one thread of a CPU (Gloo). Every process makes ``iterations`` steps an epoch,
    so that more processes see more cubes. The first epoch does not count.

    Returns:
        A row for each number of processes: ``processes``, ``cubes_per_second`` of all together (median of the epochs),
        ``efficiency_percent``: 100 if n processes are n times as fast.
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
    alone = speeds[processes[0]] / processes[0]
    rows = [
        {"processes": count, "cubes_per_second": speed, "efficiency_percent": 100 * speed / count / alone}
        for count, speed in speeds.items()
    ]
    return report("ddp", machine, rows, json_path)
