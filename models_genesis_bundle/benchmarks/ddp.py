"""How training scales from one process to several."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from models_genesis_bundle.benchmarks.machine import describe_machine
from models_genesis_bundle.benchmarks.phantom_pretraining import TRAINING_SCANS, phantom_settings
from models_genesis_bundle.benchmarks.report import Row, report
from models_genesis_bundle.benchmarks.training_run import measure_training, median_epoch, short_run

__all__ = ["benchmark_ddp"]


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
        json_path: a file for the figures, too.

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
