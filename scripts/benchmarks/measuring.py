"""Timing in turns, the machine that is measured on, and the table of what was measured."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import torch
from models_genesis_bundle.files import write_json
from tabulate import tabulate

Row = dict[str, Any]


def interleaved_medians(calls: Mapping[str, Callable[[], object]], seconds: float, least: int = 5) -> dict[str, float]:
    """Median time of each call in milliseconds.

    The calls take turns, so that a machine that is busy for a while slows all of them alike.

    Args:
        calls: what to time, by name; each is called once before counting.
        seconds: time to spend in all.
        least: fewest rounds, whatever the time.
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

    ``load`` is the number of running processes, averaged over the last minute: above 0 before a measurement starts, the
    measurement competes with other work.
    """
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": joblib.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def report(
    part: str, machine: Mapping[str, Any], rows: Sequence[Row], json_path: str | os.PathLike | None = None
) -> list[Row]:
    """Print the rows and, where a path is given, write them with the machine they were measured on.

    Args:
        part: what was measured.
        machine: see `describe_machine`; taken before the measurement, which is load itself.
        rows: numbers by name; the names carry the units.
        json_path: a file for ``{"part", "machine", "rows"}``; its folder is made.

    Returns:
        The rows.
    """
    where = ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)
    print(f"{part} ({where})\n{tabulate(rows, headers='keys', tablefmt='pipe', floatfmt='.4g')}\n")
    if json_path:
        write_json(json_path, {"part": part, "machine": dict(machine), "rows": list(rows)})
    return list(rows)
