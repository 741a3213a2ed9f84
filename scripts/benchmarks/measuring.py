"""Timing in turns, a description of the machine, the pretraining to measure, and the table of results."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import torch
from models_genesis_bundle.data import make_phantoms
from models_genesis_bundle.files import write_json
from monai.bundle import ConfigParser
from tabulate import tabulate

Row = dict[str, Any]
TRAINING_SCANS = 2


def interleaved_medians(calls: Mapping[str, Callable[[], object]], seconds: float, least: int = 5) -> dict[str, float]:
    """Median time of each call in milliseconds, without its first call.

    The calls take turns for ``seconds``, at least ``least`` rounds, so that a busy machine slows all of them alike.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    started = time.perf_counter()
    rounds = 0
    while rounds < least or time.perf_counter() - started < seconds:
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
        rounds += 1
    return {name: 1000 * statistics.median(values) for name, values in times.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with ``count`` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe_machine() -> dict[str, Any]:
    """Processor, cores that this process may use, GPU, versions, PyTorch's threads, and how busy the machine is.

    ``load`` is the number of running processes in the last minute. If it is above 0 before a measurement, other work disturbs it.
    """
    listing = Path("/proc/cpuinfo")
    cpu = listing.read_text().splitlines() if listing.exists() else [f"model name: {platform.processor()}"]
    return {
        "processor": next((line.partition(":")[2].strip() for line in cpu if line.startswith("model name")), None),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": joblib.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


@contextmanager
def phantom_settings() -> Iterator[dict[str, Any]]:
    """Settings of a pretraining with two phantoms, and one for validation; their folders are removed at the end."""
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
    """Build a part of a pretraining configuration with other settings, for example ``train::dataloader``."""
    parser = ConfigParser()
    parser.read_config(config_file)
    parser.update(settings)
    return parser.get_parsed_content(part)


def report(
    part: str, machine: Mapping[str, Any], rows: Sequence[Row], json_path: str | os.PathLike | None = None
) -> list[Row]:
    """Print and return the rows; ``json_path`` also gets the machine as it was before the measurement."""
    where = ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)
    print(f"{part} ({where})\n{tabulate(rows, headers='keys', tablefmt='pipe', floatfmt='.4g')}\n")
    if json_path:
        write_json(json_path, {"part": part, "machine": dict(machine), "rows": list(rows)})
    return list(rows)
