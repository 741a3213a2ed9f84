"""The processes of a run: ranks, seeds, handlers for the main process, and the number of loader workers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ignite.metrics
import joblib
import torch
from ignite.engine import Engine, Events
from monai.data.utils import worker_init_fn
from monai.utils import evenly_divisible_all_gather, set_determinism


def is_main_process() -> bool:
    """True for the process that writes files: a single process, or rank 0 of ``torchrun``."""
    return int(os.environ.get("RANK", "0")) == 0


def join_process_group(device: str | torch.device) -> None:
    """Join the processes that ``torchrun`` has started; all but the main one log only warnings and errors.

    Args:
        device: device of this process. The backend is ``nccl`` for GPUs and ``gloo`` for other devices.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(backend="nccl" if device.type == "cuda" else "gloo")
    if not is_main_process():
        logging.disable(logging.INFO)


def require_process_group() -> None:
    """Raise a ``RuntimeError`` if ``torchrun`` has started several processes that would each repeat the whole run."""
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
    """Copies the buffers of the main process, which its weight file contains, to all processes before a validation.

    ``DistributedDataParallel`` does so only before each training step: after the last step, the running statistics differ.
    """

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator."""
        engine.add_event_handler(Events.STARTED, self._copy)

    def _copy(self, engine: Engine) -> None:
        for buffer in engine.network.buffers():
            torch.distributed.broadcast(buffer, 0)


class EpochMetric(ignite.metrics.EpochMetric):
    """Ignite's ``EpochMetric``, of the items of all processes, which need not have the same number of items."""

    def compute(self) -> float:
        """The value of ``compute_fn``."""
        predictions, targets = (
            evenly_divisible_all_gather(torch.cat(values), concat=True) for values in (self._predictions, self._targets)
        )
        return self.compute_fn(predictions, targets)


@dataclass(eq=False)
class OnMainProcess:
    """A handler that only the main process creates and attaches.

    Args:
        handler: a function that creates it; in a configuration, the handler with ``_mode_: callable``.
    """

    handler: Callable[[], Any]

    def attach(self, engine: Engine) -> None:
        """Attach the handler on the main process."""
        if is_main_process():
            self.handler().attach(engine)


def loader_workers(num_workers: int | str, device: str | torch.device) -> int:
    """The number of worker processes of a data loader.

    Args:
        num_workers: the number, or ``"auto"``: with a GPU, the CPU cores of this process minus one, from 1 to 8; without a GPU 0,
            because workers would compete with the network for the cores.
        device: the device of the network.
    """
    if num_workers != "auto":
        return int(num_workers)
    if torch.device(device).type == "cpu":
        return 0
    return min(8, max(1, joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


def init_loader_worker(worker_id: int) -> None:
    """Initialise a worker of a ``DataLoader`` as MONAI does, and let SIGTERM end it only if the main process sends it.

    ``timeout`` and schedulers of clusters send SIGTERM to all processes of a run. The main process needs its workers until it
    has saved the state of the run.

    Args:
        worker_id: number of the worker, from 0.
    """
    worker_init_fn(worker_id)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_main_process, daemon=True).start()


def _end_with_main_process() -> None:
    main_process = multiprocessing.parent_process()
    while main_process is not None and signal.sigwaitinfo({signal.SIGTERM}).si_pid != main_process.pid:
        pass
    os._exit(0)
