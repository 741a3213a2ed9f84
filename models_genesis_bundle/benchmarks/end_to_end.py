"""How fast the real trainer is, and how long it waits for cubes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from models_genesis_bundle.benchmarks.machine import describe_machine
from models_genesis_bundle.benchmarks.phantom_pretraining import TRAINING_SCANS, phantom_settings
from models_genesis_bundle.benchmarks.report import Row, report
from models_genesis_bundle.benchmarks.training_run import measure_training, median_epoch, short_run

__all__ = ["benchmark_end_to_end"]


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

    All of it runs as in a user's run: store, loader, step, handlers, validation after the last epoch. The figures are the
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
        json_path: a file for the figures, too.

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
            "waiting_percent": 100 * median_epoch(lines, "waiting_share"),
        }
        for count, lines in measured.items()
    ]
    return report("end_to_end", machine, rows, json_path)
