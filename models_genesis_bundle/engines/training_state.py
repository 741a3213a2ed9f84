"""Exact resume: a resumed run gives the same weights as an uninterrupted one."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric
from models_genesis_bundle.data.sampling.seeded_dataset import EpochSampler
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.weights import (
    CheckpointError,
    load_weights,
    network_record,
    read_weights,
    unwrap,
    write_checkpoint,
)
from monai.handlers import IgniteMetricHandler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

logger = logging.getLogger(__name__)


class TrainingState:
    """Saves the complete state of a run after an epoch, and restores it when the run is resumed.

    It saves network, optimizer, schedule, gradient scaler, epoch, iteration, best metric and its epoch, the objects in ``also``
    and, for each process, the random states and the states of the training metrics. A run that was stopped within an epoch
    continues there if its data loader has an `EpochSampler` and the number of processes is the same. MONAI's checkpoint handlers
    restore neither the best metric nor the random states.

    A schedule that depends only on the epoch is stepped to the run's epoch instead, so that it follows a new ``max_epochs``. List
    this handler last among the trainer's, so that it saves the end of the epoch.

    Args:
        path: the file, replaced atomically each time.
        network: the network in training, wrapped or not.
        optimizer: its optimizer.
        lr_scheduler: the schedule, or None.
        validator: the evaluator with ``best_metric`` and ``best_metric_epoch``.
        also: more objects with ``state_dict`` and ``load_state_dict``, by name: an EMA network, for example.
        resume: restore from ``path`` when the trainer starts; without this file the run starts from the beginning.
        interval: epochs between two saves. The state at the end of the run is always saved.
    """

    def __init__(
        self,
        path: str,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: Any | None = None,
        validator: Engine | None = None,
        also: Mapping[str, Any] | None = None,
        resume: bool = False,
        interval: int = 1,
    ) -> None:
        self.path = Path(path)
        self.network = network
        self.validator = validator
        self.resume = resume
        self.interval = interval
        self.saved_iteration: int | None = None  # of the last save
        schedule = {"lr_scheduler": lr_scheduler} if lr_scheduler else {}
        self.stateful: dict[str, Any] = {"optimizer": optimizer, **schedule, **(also or {})}

    def attach(self, engine: Engine) -> None:
        """Restore at the trainer's start, save at the end of its epochs and of the run."""
        if self.resume:
            engine.add_event_handler(Events.STARTED, self.restore)
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self.save)
        engine.add_event_handler(Events.COMPLETED, self._save_end)

    def _save_end(self, engine: Engine) -> None:
        ended_with_epoch = engine.state.iteration % engine.state.epoch_length == 0
        if ended_with_epoch and engine.state.iteration != self.saved_iteration:
            self.save(engine)

    def save(self, engine: Engine) -> None:
        """Write the state on the main process; all processes must call it. A ``CheckpointError`` leaves the previous file."""
        self.saved_iteration = engine.state.iteration
        epoch, seen = divmod(engine.state.iteration, engine.state.epoch_length)
        metrics = [
            {name: _on("cpu", getattr(holder, name)) for name in names}
            for holder, names, _ in (_running_values(engine) if seen else ())
        ]
        processes = idist.all_gather({"random": get_random_states(), "metrics": metrics})
        if not is_main_process():
            return
        best: dict[str, Any] = {"metric": None, "epoch": -1}
        if self.validator is not None:
            state = self.validator.state
            best = {"metric": float(state.best_metric), "epoch": int(state.best_metric_epoch)}
        trainer = {"epoch": epoch, "iteration": engine.state.iteration, "epoch_length": engine.state.epoch_length}
        write_checkpoint(
            {
                "network": network_record(self.network),
                "model": unwrap(self.network).state_dict(),
                "trainer": trainer,
                "best": best,
                "processes": processes,
                **{name: part.state_dict() for name, part in self._all_stateful(engine).items()},
            },
            self.path,
        )

    def restore(self, engine: Engine) -> None:
        """Restore the saved state.

        Raises:
            CheckpointError: when the file is damaged, of another network, or lacks a part.
        """
        if not self.path.exists():
            logger.warning(
                "%s does not exist yet: there is nothing to resume, and the run starts from the beginning.", self.path
            )
            return
        content = read_weights(self.path, unwrap(self.network).state_dict())
        stateful = self._all_stateful(engine)
        if "scaler" not in content:  # the saved run had another precision
            stateful.pop("scaler", None)
        missing = [name for name in ("model", "trainer", "best", "processes", *stateful) if name not in content]
        if missing:
            raise CheckpointError(
                f"{self.path}: cannot resume, the file lacks {', '.join(missing)}. Resume with the settings that the run "
                "was started with, from the last.pt that it wrote."
            )
        load_weights(self.network, content)
        rates = None
        if not isinstance(stateful.get("lr_scheduler"), ReduceLROnPlateau | None):
            rates = _rates_after(stateful.pop("lr_scheduler"), content["trainer"]["epoch"])
        for name, part in stateful.items():
            if isinstance(part, torch.nn.Module):
                load_weights(part, {"model": content[name], "network": {}}, f"{self.path}, {name}")
                continue
            try:
                part.load_state_dict(content[name])
            except (KeyError, ValueError, RuntimeError) as error:
                raise CheckpointError(
                    f"{self.path}: {name!r} does not match the settings of this run and cannot be resumed: {error}"
                ) from error
        if rates is not None:
            for group, rate in zip(self.stateful["optimizer"].param_groups, rates, strict=True):
                group["lr"] = rate
        if self.validator is not None:
            self.validator.state.best_metric = content["best"]["metric"]
            self.validator.state.best_metric_epoch = content["best"]["epoch"]
        self._go_on(engine, content["trainer"], content["processes"])
        self.saved_iteration = engine.state.iteration

    @staticmethod
    def can_save_within_epoch(engine: Engine) -> bool:
        """Whether the trainer is within an epoch, and its sampler can continue there."""
        within = engine.state.iteration % engine.state.epoch_length > 0
        return within and isinstance(engine.data_loader.sampler, EpochSampler)

    def _go_on(self, engine: Engine, saved: Mapping[str, int], processes: Sequence[dict[str, Any]]) -> None:
        """Set epoch, iteration and random states, and skip what was already seen of the epoch."""
        number, epoch, length = idist.get_world_size(), saved["epoch"], saved["epoch_length"]
        states = processes[idist.get_rank() % len(processes)]
        seen = saved["iteration"] - epoch * length
        engine.state.epoch = epoch
        engine.state.iteration = epoch * engine.state.epoch_length
        where = f"after epoch {epoch} of {engine.state.max_epochs}"
        if seen and (len(processes), length) != (number, engine.state.epoch_length):
            where += f"; the epoch that had begun begins again, as {len(processes)} processes are {number} now"
        elif seen:
            engine.state.iteration = saved["iteration"]
            where += f" and {seen} of {length} iterations"

            @engine.on(Events.EPOCH_STARTED(once=epoch + 1))
            def skip_what_was_seen() -> None:  # after the metrics have been reset
                engine.data_loader.sampler.skip = seen * engine.data_loader.batch_size
                for (holder, names, device), values in zip(_running_values(engine), states["metrics"], strict=True):
                    for name in names:
                        setattr(holder, name, _on(device, values[name]))

        set_random_states(states["random"])
        logger.info("Resumed from %s %s.", self.path, where)
        if epoch >= engine.state.max_epochs:
            logger.info("No epoch is left. To train longer, set a larger `--max_epochs`.")

    def _all_stateful(self, engine: Engine) -> dict[str, Any]:
        scaler = getattr(engine, "scaler", None)
        return self.stateful | ({} if scaler is None else {"scaler": scaler})


def get_random_states() -> dict[str, Any]:
    """States of Python's, NumPy's, torch's and CUDA's generators: tensors and plain values only."""
    algorithm, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (str(algorithm), torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restore the states of ``get_random_states``; those of CUDA only if the number of GPUs is the same."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _rates_after(schedule: LRScheduler, epoch: int) -> list[float]:
    """The learning rates of a new schedule after some epochs, by parameter group."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step", category=UserWarning)
        for _ in range(epoch):
            schedule.step()
    return [group["lr"] for group in schedule.optimizer.param_groups]


def _running_values(engine: Engine) -> Iterator[tuple[Any, Sequence[str], str | torch.device]]:
    """For each metric of an engine: the object with its running values, their names and their device."""
    for handler, *_ in engine._event_handlers[Events.EPOCH_STARTED]:
        metric = getattr(handler, "__self__", None)
        if isinstance(metric, IgniteMetricHandler):
            yield metric.metric_fn, ["_buffers"], engine.state.device
        elif isinstance(metric, Metric):
            yield metric, metric._state_dict_all_req_keys, "cpu"


def _on(device: str | torch.device, value: Any) -> Any:
    if isinstance(value, list):
        return [_on(device, one) for one in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value
