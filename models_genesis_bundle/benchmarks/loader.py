"""How many cubes a second the data loader gives when nobody computes with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial

from models_genesis_bundle.benchmarks.machine import describe_machine
from models_genesis_bundle.benchmarks.phantom_pretraining import TRAINING_SCANS, phantom_settings, pretraining_part
from models_genesis_bundle.benchmarks.report import Row, report
from models_genesis_bundle.benchmarks.timing import interleaved_medians, threads

__all__ = ["benchmark_loader"]


def benchmark_loader(
    config_file: str = "configs/pretrain.yaml",
    workers: Sequence[int] = (0, 1, 2),
    cube_size: Sequence[int] = (64, 64, 32),
    cubes: int = 512,
    batch_size: int = 6,
    seconds: float = 20.0,
    json_path: str | os.PathLike | None = None,
) -> list[Row]:
    """Time epochs of the configuration's own loader with different numbers of workers, in turns.

    An epoch is everything between the prepared volumes on disk and a batch in this process: reading, seeding, deforming, collating
    and, with workers, the way from process to process. Workers stay between epochs, as in training.

    Args:
        config_file: a pretraining configuration.
        workers: numbers of worker processes; 0 loads in this one.
        cube_size: sides of the cubes in voxels.
        cubes: cubes of an epoch, an even number.
        batch_size: cubes of a batch.
        seconds: time to spend on all epochs.
        json_path: a file for the figures, too.

    Returns:
        A row for each number of workers: ``workers``, ``cubes_per_second`` (median) and ``times_first``: the ratio to the
        first row.
    """
    machine = describe_machine() | {"threads": 1}
    with phantom_settings() as settings, threads(1):
        settings |= {"cube_size": list(cube_size), "cubes_per_scan": cubes // TRAINING_SCANS, "batch_size": batch_size}
        loaders = {
            count: pretraining_part("train::dataloader", config_file, settings | {"num_workers": count})
            for count in workers
        }
        size = len(next(iter(loaders.values())).dataset)
        medians = interleaved_medians(
            {str(count): partial(_drain, loader) for count, loader in loaders.items()}, seconds, least=3
        )
    speeds = {count: 1000 * size / medians[str(count)] for count in workers}
    rows = [
        {"workers": count, "cubes_per_second": speed, "times_first": speed / speeds[workers[0]]}
        for count, speed in speeds.items()
    ]
    return report("loader", machine, rows, json_path)


def _drain(batches: Iterable) -> None:
    for _ in batches:
        pass
