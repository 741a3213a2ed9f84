"""Running one function over many items, in processes on this machine or on a Dask cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, TypeVar

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

__all__ = ["run_over"]

Item = TypeVar("Item")

_IDLE_SECONDS = 10  # after which a process without work ends


def run_over(
    function: Callable[[Item], Any], items: Iterable[Item], num_workers: int, scheduler: str | None = None
) -> Iterator[Any]:
    """Apply a function to all items and yield the results as they are ready, in any order.

    Args:
        function: what to do with an item; it must be picklable.
        items: the items.
        num_workers: processes on this machine; 0 and 1 work in this process.
        scheduler: address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, whose workers are used instead. They
            need this package and must see the same files. If a worker dies, another one repeats its work.
    """
    if scheduler is None and num_workers < 2:
        yield from map(function, items)
        return
    with ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(joblib.parallel_config("loky", n_jobs=num_workers, idle_worker_timeout=_IDLE_SECONDS))
        else:
            stack.enter_context(_dask_client(scheduler))
            stack.enter_context(joblib.parallel_config("dask"))
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        parent = os.getpid() if scheduler is None else None
        try:
            yield from parallel(joblib.delayed(_run)(function, item, parent) for item in items)
        except TerminatedWorkerError as error:
            raise RuntimeError(
                "A process that prepares data was killed, most likely because memory ran out. Use fewer of them "
                "(preparation_workers) and start again: what is done is kept."
            ) from error


def _run(function: Callable[[Item], Any], item: Item, parent: int | None) -> Any:
    torch.set_num_threads(1)
    if parent is not None:
        _end_with(parent)
    return function(item)


@cache
def _end_with(parent: int) -> None:
    """End this process when its parent has ended, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _dask_client(scheduler: str) -> Any:
    try:
        from dask.distributed import Client
    except ImportError as error:
        install = "pip install 'models-genesis-bundle[distributed]'"
        raise ImportError(f"scheduler={scheduler} needs Dask: {install}.") from error
    return Client(scheduler, timeout="30s")
