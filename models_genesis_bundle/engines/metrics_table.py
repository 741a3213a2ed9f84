"""The metrics of a run: one row for each epoch."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

from ignite.engine import Engine, Events
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.files import write_table
from torch.optim import Optimizer

__all__ = ["MetricsTable", "read_metrics"]


class MetricsTable:
    """Writes ``metrics.csv``: epoch, learning rate, the trainer's metrics and, in epochs with a validation, the evaluator's.

    The cell of an undefined metric stays empty. The file is written anew after each epoch and renamed, so that it is always
    complete; a resumed run continues after the epoch that it resumes from, and drops later rows of the interrupted run.

    Args:
        path: the CSV file.
        validator: the evaluator whose metrics are written.
        optimizer: the optimizer whose learning rate is written.
    """

    def __init__(self, path: str, validator: Engine, optimizer: Optimizer) -> None:
        self.path = Path(path)
        self.validator = validator
        self.optimizer = optimizer

    def attach(self, engine: Engine) -> None:
        """Write after each epoch; list it after the ``ValidationHandler`` and before the schedule."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def write(self, engine: Engine) -> None:
        """Add this epoch's line; on the main process only."""
        if not is_main_process():
            return
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
