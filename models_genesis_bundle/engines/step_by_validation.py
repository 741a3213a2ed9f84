"""Steps a learning-rate schedule that follows the validation."""

from __future__ import annotations

from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import ReduceLROnPlateau

__all__ = ["StepByValidation"]


class StepByValidation:
    """Gives a ``ReduceLROnPlateau`` the validation's key metric after each epoch that was validated.

    Its patience counts validations. MONAI's ``LrScheduleHandler`` steps after every epoch: with validations further apart it
    has no metric after the first epoch, and counts each later one several times.

    Args:
        lr_scheduler: the schedule.
        validator: the evaluator with the key metric.
    """

    def __init__(self, lr_scheduler: ReduceLROnPlateau, validator: Engine) -> None:
        self.lr_scheduler = lr_scheduler
        self.validator = validator

    def attach(self, engine: Engine) -> None:
        """Step after each validated epoch; list it behind the ``ValidationHandler``."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.step)

    def step(self, engine: Engine) -> None:
        """Step if this epoch was validated."""
        state = self.validator.state
        if state.epoch == engine.state.epoch:
            self.lr_scheduler.step(state.metrics[state.key_metric_name])
