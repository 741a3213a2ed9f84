"""Whether the memory of a training's data stays the same when there are more cubes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import psutil

from models_genesis_bundle.benchmarks.machine import describe_machine
from models_genesis_bundle.benchmarks.phantom_pretraining import TRAINING_SCANS, phantom_settings, pretraining_part
from models_genesis_bundle.benchmarks.report import Row, report

__all__ = ["benchmark_memory"]

MEGABYTE = 1024**2


def benchmark_memory(
    config_file: str = "configs/pretrain.yaml",
    multiples: Sequence[int] = (1, 4, 16),
    cube_size: Sequence[int] = (64, 64, 32),
    cubes: int = 96,
    json_path: str | os.PathLike | None = None,
) -> list[Row]:
    """Read 1×, 4× and 16× as many cubes once, each in a process of its own, and compare the memory at its highest.

    The process opens the volumes and loads an epoch without workers, through the configuration's deformations. ``resident`` is
    all its memory in RAM, with the libraries (parts of the volumes that are mapped at that moment count); ``own`` is the
    part that no other process shares and that would be freed with it (USS).

    Args:
        config_file: a pretraining configuration.
        multiples: numbers of cubes, as multiples of ``cubes``.
        cube_size: sides of the cubes in voxels.
        cubes: the smallest number of cubes, an even number.
        json_path: a file for the figures, too.

    Returns:
        A row for each number: ``cubes``, ``resident_megabytes``, ``own_megabytes``, ``resident_against_first`` (a ratio).
    """
    machine = describe_machine()
    rows: list[Row] = []
    with phantom_settings() as settings:
        for multiple in multiples:
            more = {
                "cube_size": list(cube_size),
                "cubes_per_scan": cubes * multiple // TRAINING_SCANS,
            }
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
    """Bytes in RAM and bytes of its own that this process has at most while it loads an epoch."""
    process = psutil.Process()
    resident = own = 0
    for _ in pretraining_part("train::dataloader", config_file, settings | {"num_workers": 0}):
        memory = process.memory_full_info()
        resident, own = max(resident, memory.rss), max(own, memory.uss)
    return resident, own
