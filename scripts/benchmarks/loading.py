"""The data loader without a network: its speed, and whether its memory grows with the number of cubes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import psutil

from benchmarks.measuring import (
    TRAINING_SCANS,
    Row,
    describe_machine,
    interleaved_medians,
    phantom_settings,
    pretraining_part,
    report,
    threads,
)

MEGABYTE = 1024**2


def benchmark_loader(
    config_file: str = "configs/pretrain.yaml",  # a pretraining configuration
    workers: Sequence[int] = (0, 1, 2),  # numbers of worker processes; 0 loads in this one
    cube_size: Sequence[int] = (64, 64, 32),  # sides of the cubes in voxels
    cubes: int = 512,  # cubes of an epoch, an even number
    batch_size: int = 6,  # cubes of a batch
    seconds: float = 20.0,  # time to spend on all epochs
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Time epochs of the configuration's loader, from prepared volumes to batches, for several numbers of workers, in turns.

    Workers stay between epochs, as in training.

    Returns:
        A row for each number of workers: ``workers``, ``cubes_per_second`` (median) and ``times_first``: relative to the first.
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


def benchmark_memory(
    config_file: str = "configs/pretrain.yaml",  # a pretraining configuration
    multiples: Sequence[int] = (1, 4, 16),  # numbers of cubes, as multiples of ``cubes``
    cube_size: Sequence[int] = (64, 64, 32),  # sides of the cubes in voxels
    cubes: int = 96,  # the smallest number of cubes, an even number
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Load an epoch of 1×, 4× and 16× as many cubes, each in a new process, and compare the peak memory.

    ``resident`` is all memory in RAM, including libraries and mapped volumes. ``own`` is the unshared part (USS).

    Returns:
        A row for each number: ``cubes``, ``resident_megabytes``, ``own_megabytes``, ``resident_against_first`` (a ratio).
    """
    machine = describe_machine()
    rows: list[Row] = []
    with phantom_settings() as settings:
        for multiple in multiples:
            more = {"cube_size": list(cube_size), "cubes_per_scan": cubes * multiple // TRAINING_SCANS}
            cubes_read = pretraining_part("training_cubes", config_file, settings | more)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                resident, own = pool.submit(_highest_memory, config_file, settings | more).result()
            rows.append(
                {
                    "cubes": len(cubes_read),
                    "resident_megabytes": resident / MEGABYTE,
                    "own_megabytes": own / MEGABYTE,
                    "resident_against_first": resident / MEGABYTE / rows[0]["resident_megabytes"] if rows else 1.0,
                }
            )
    return report("memory", machine, rows, json_path)


def _highest_memory(config_file: str, settings: dict[str, Any]) -> tuple[int, int]:
    """The peak of all memory and of unshared memory, in bytes, while this process loads an epoch."""
    process = psutil.Process()
    resident = own = 0
    for _ in pretraining_part("train::dataloader", config_file, settings | {"num_workers": 0}):
        memory = process.memory_full_info()
        resident, own = max(resident, memory.rss), max(own, memory.uss)
    return resident, own
