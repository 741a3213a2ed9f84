"""Keeps the weights of the best validation."""

from __future__ import annotations

import logging
from typing import Any

import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.weights import write_weights

__all__ = ["BestWeights"]

logger = logging.getLogger(__name__)


class BestWeights:
    """Writes a weight file after each epoch with the best validation so far; if there is none, at the end of the run.

    List it among the trainer's handlers after the ``ValidationHandler``.

    Args:
        path: the file, replaced atomically.
        network: the validated network, whose weights are written.
        validator: the evaluator that keeps ``best_metric_epoch``.
        records: plain values for the file: ``preprocessing``, ``data``, ….
    """

    def __init__(self, path: str, network: torch.nn.Module, validator: Engine, records: dict[str, Any] | None = None):
        self.path = path
        self.network = network
        self.validator = validator
        self.records = records or {}

    def attach(self, engine: Engine) -> None:
        """Look after each epoch, and at the end; on the main process only."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.write_if_best)
            engine.add_event_handler(Events.COMPLETED, self.write_without_best)

    def write_if_best(self, engine: Engine) -> None:
        """Write the file when this epoch's validation was the best."""
        if self.validator.state.best_metric_epoch == engine.state.epoch:
            self._write(engine)

    def write_without_best(self, engine: Engine) -> None:
        """Write the last weights if no validation found a best epoch."""
        if self.validator.state.best_metric_epoch == -1:
            logger.warning("No validation defined a best epoch: %s holds the weights of the last one.", self.path)
            self._write(engine)

    def _write(self, engine: Engine) -> None:
        metrics = {name: float(value) for name, value in self.validator.state.metrics.items()}
        write_weights(self.path, self.network, epoch=engine.state.epoch, metrics=metrics, **self.records)
