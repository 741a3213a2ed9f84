"""The processes of a run: ranks, seeds, handlers for the main process, and the number of loader workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import ignite.metrics
import joblib
import torch
from ignite.engine import Engine, Events
from monai.utils import evenly_divisible_all_gather, set_determinism


def is_main_process() -> bool:
    """True in a run of one process and on rank 0 of ``torchrun``: the process that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def join_process_group(device: str | torch.device) -> None:
    """Join the processes that ``torchrun`` has started; all but the main one log only warnings and errors.

    Args:
        device: the device of this process. The backend is ``nccl`` for GPUs and ``gloo`` for other devices.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(backend="nccl" if device.type == "cuda" else "gloo")
    if not is_main_process():
        logging.disable(logging.INFO)


def require_process_group() -> None:
    """Raise an error if every process of ``torchrun`` would repeat the whole run.

    Raises:
        RuntimeError: several processes have been started, and have not joined.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1 and not torch.distributed.is_initialized():
        raise RuntimeError(
            f"torchrun has started {processes} processes, and each would do the whole run. For training, add "
            "configs/multi_gpu.yaml after the training configuration in --config_file. Start all other runs with `python` "
            "instead of `torchrun`."
        )


def seed_run(seed: int, deterministic: bool = True) -> None:
    """Seed Python, NumPy and torch, and configure cuDNN.

    Args:
        seed: 0 or more.
        deterministic: True: cuDNN uses deterministic kernels. False: cuDNN benchmarks its kernels and uses the fastest.
    """
    set_determinism(seed)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic


class MainBuffers:
    """Gives all processes the buffers of the main process before a validation, as its weight file holds them.

    ``DistributedDataParallel`` does so before each step of the training. After the last one, every process has its own running
    statistics of a batch normalisation.
    """

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator."""
        engine.add_event_handler(Events.STARTED, self._copy)

    def _copy(self, engine: Engine) -> None:
        for buffer in engine.network.buffers():
            torch.distributed.broadcast(buffer, 0)


class EpochMetric(ignite.metrics.EpochMetric):
    """Ignite's metric, for processes with different numbers of items; each one computes it from all items."""

    def compute(self) -> float:
        """The value of ``compute_fn``."""
        predictions, targets = (
            evenly_divisible_all_gather(torch.cat(values), concat=True) for values in (self._predictions, self._targets)
        )
        return self.compute_fn(predictions, targets)


class OnMainProcess:
    """A handler that only the main process makes and attaches.

    Args:
        handler: makes it, without arguments: in a configuration, the handler with ``_mode_: callable``.
    """

    def __init__(self, handler: Callable[[], Any]) -> None:
        self.handler = handler

    def attach(self, engine: Engine) -> None:
        """Attach the handler on the main process."""
        if is_main_process():
            self.handler().attach(engine)


def loader_workers(num_workers: int | str, device: str | torch.device) -> int:
    """The number of processes that prepare a loader's items.

    Args:
        num_workers: the number, or ``"auto"``: with a GPU, one less than the CPU cores of this process, at least 1 and at most
            8; without a GPU 0, because workers would compete with the network for the cores.
        device: where the network computes.
    """
    if num_workers != "auto":
        return int(num_workers)
    if torch.device(device).type == "cpu":
        return 0
    return min(8, max(1, joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))
