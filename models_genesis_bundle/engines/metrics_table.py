"""The metrics of the epochs of a run: table, speed and progress bar."""

from __future__ import annotations

import csv
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ignite.engine import Engine, Events
from ignite.handlers.tqdm_logger import ProgressBar
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.files import write_table
from monai.utils.enums import CommonKeys
from torch.optim import Optimizer


@dataclass(eq=False)
class MetricsTable:
    """Writes ``metrics.csv``: epoch, learning rate, the trainer's metrics and, after a validation, the evaluator's metrics.

    Undefined metrics are empty cells. The file is replaced atomically after each epoch. A resumed run continues it and drops
    later rows of the interrupted run. List it after the ``ValidationHandler`` and before the schedule.

    Args:
        path: the CSV file.
        validator: the evaluator whose metrics are written.
        optimizer: the optimizer whose learning rate is written.
    """

    path: str
    validator: Engine
    optimizer: Optimizer

    def attach(self, engine: Engine) -> None:
        """Write after each epoch; on the main process only."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _write(self, engine: Engine) -> None:
        row: dict[str, float] = {"epoch": engine.state.epoch, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        row |= engine.state.metrics
        if self.validator.state.epoch == engine.state.epoch:
            row |= self.validator.state.metrics
        earlier = [line for line in read_metrics(self.path) if line["epoch"] < engine.state.epoch]
        defined = {name: float(value) for name, value in row.items() if not math.isnan(value)}
        write_table(self.path, [*earlier, defined])


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """The rows of a ``metrics.csv``, without empty cells; a missing file has no rows."""
    path = Path(path)
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: float(cell) for name, cell in line.items() if cell} for line in csv.DictReader(file)]


@dataclass(eq=False)
class Throughput:
    """Adds ``cubes_per_second``, ``data_wait_fraction`` and ``train_seconds`` of each epoch to the trainer's metrics.

    ``data_wait_fraction`` is the fraction of the training time (without validation) in which the trainer waits for batches. With
    0 workers this is the time for reading and deforming; with workers it is what they could not do in advance.

    Args:
        unit: what a batch contains; with ``patches`` the speed is ``patches_per_second``.
    """

    unit: str = "cubes"

    def attach(self, engine: Engine) -> None:
        """Follow the engine's events."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._start_waiting)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._stop_waiting)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._update)

    def _start_epoch(self, engine: Engine) -> None:
        self.started = time.perf_counter()
        self.waited = 0.0
        self.count = 0

    def _start_waiting(self, engine: Engine) -> None:
        self.asked = time.perf_counter()

    def _stop_waiting(self, engine: Engine) -> None:
        self.waited += time.perf_counter() - self.asked
        self.count += len(engine.state.batch[CommonKeys.IMAGE])

    def _update(self, engine: Engine) -> None:
        seconds = time.perf_counter() - self.started
        engine.state.metrics["train_seconds"] = seconds
        engine.state.metrics[f"{self.unit}_per_second"] = self.count / seconds
        engine.state.metrics["data_wait_fraction"] = self.waited / seconds


@dataclass(eq=False)
class TrainingProgress:
    """Ignite's tqdm bar for each epoch, with the loss and, after ``Throughput``, the speed; for trainers with ``decollate: true``.

    Args:
        unit: as in ``Throughput``.
    """

    unit: str = "cubes"

    def attach(self, engine: Engine) -> None:
        """Show the bar; on the main process only."""
        if is_main_process():
            ProgressBar(desc="epoch", persist=True).attach(
                engine,
                output_transform=lambda output: {
                    "loss": output[0][CommonKeys.LOSS],
                    f"{self.unit}/s": round(engine.state.metrics.get(f"{self.unit}_per_second", math.nan), 2),
                },
            )
