"""Steps a learning-rate schedule after each epoch."""

from __future__ import annotations

import math

from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

__all__ = ["StepSchedule"]


class StepSchedule:
    """Steps a schedule after each epoch; a ``ReduceLROnPlateau`` after each validation, by its key metric.

    The patience of a plateau thus counts validations. MONAI's ``LrScheduleHandler`` steps after every epoch: with
    validations further apart it has no metric after the first epoch, and counts each later one several times.

    Args:
        lr_scheduler: the schedule.
        validator: the evaluator with the key metric.
    """

    def __init__(self, lr_scheduler: LRScheduler, validator: Engine) -> None:
        self.lr_scheduler = lr_scheduler
        self.validator = validator

    def attach(self, engine: Engine) -> None:
        """Step after each epoch; list it after the ``ValidationHandler``."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.step)

    def step(self, engine: Engine) -> None:
        """Step, unless the schedule waits for a validation and this epoch had none, or one whose key metric is undefined."""
        if not isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step()
        elif self.validator.state.epoch == engine.state.epoch:
            metric = self.validator.state.metrics[self.validator.state.key_metric_name]
            if not math.isnan(metric):
                self.lr_scheduler.step(metric)
