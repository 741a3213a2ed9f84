"""Ends a run that no longer improves."""

from __future__ import annotations

import logging

from ignite.engine import Engine, Events

__all__ = ["EarlyStopping"]

logger = logging.getLogger(__name__)


class EarlyStopping:
    """Ends training when the best validation lies ``patience`` epochs back.

    It counts from the evaluator's ``best_metric_epoch``, which ``TrainingState`` restores.
    MONAI's ``EarlyStopHandler`` counts in memory and starts again at a resume. List it after the ``ValidationHandler`` and
    ``TrainingState``.

    Args:
        patience: epochs without a better validation before the run ends; infinity: never.
        validator: the evaluator that keeps ``best_metric_epoch``.
    """

    def __init__(self, patience: float, validator: Engine) -> None:
        if patience < 1:
            raise ValueError(f"patience: expected at least 1 epoch, found {patience}.")
        self.patience = patience
        self.validator = validator

    def attach(self, engine: Engine) -> None:
        """Check after each epoch, and at the start: a run may resume where it had stalled, or with less patience."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.stop_if_stalled)
        engine.add_event_handler(Events.STARTED, self.stop_if_stalled)

    def stop_if_stalled(self, engine: Engine) -> None:
        """End the run when it has stalled."""
        best_epoch = self.validator.state.best_metric_epoch
        if best_epoch > 0 and engine.state.epoch - best_epoch >= self.patience:
            logger.info(
                "No better validation for %d epochs (best: epoch %d): training ends.", self.patience, best_epoch
            )
            engine.terminate()
