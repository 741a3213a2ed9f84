"""Honest timings: repeated, interleaved, and reported as medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

__all__ = ["interleaved_medians", "threads"]


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
