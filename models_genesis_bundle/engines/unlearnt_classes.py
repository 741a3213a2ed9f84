"""Warns when a segmentation network has not learnt a class at the end of its training."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from ignite.engine import Engine, Events

__all__ = ["UNLEARNT_DICE", "UnlearntClasses"]

logger = logging.getLogger(__name__)

UNLEARNT_DICE = 0.01  # mean Dice below which a class counts as not learnt


class UnlearntClasses:
    """Warns at the end of the training of each class with a validation Dice below 0.01, and says what to do.

    A mean over classes hides a class that is never predicted. The classes are those of the best validation, whose weights
    are kept. List it among the trainer's handlers after the ``ValidationHandler``.

    Args:
        label_names: the foreground classes, in the order of the metric's columns.
        validator: the evaluator, whose key metric keeps its details: Dice of shape (scans, classes), NaN where a scan does
            not have the class.
    """

    def __init__(self, label_names: Sequence[str], validator: Engine) -> None:
        self.label_names = list(label_names)
        self.validator = validator
        self.dice: torch.Tensor | None = None

    def attach(self, engine: Engine) -> None:
        """Check after each epoch, warn after the last one."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.keep_best)
        engine.add_event_handler(Events.COMPLETED, self.warn)

    def keep_best(self, engine: Engine) -> None:
        """Keep the Dice of this epoch's validation if it is the best so far."""
        state = self.validator.state
        if state.best_metric_epoch == engine.state.epoch:
            self.dice = state.metric_details[state.key_metric_name].detach().cpu()

    def warn(self, engine: Engine) -> None:
        """Log a warning for each class that was not learnt."""
        if self.dice is None:  # a resumed training without a better validation
            return
        for name, dice in zip(self.label_names, self.dice.T, strict=True):
            known = dice[~dice.isnan()]
            if len(known) and known.mean() < UNLEARNT_DICE:
                logger.warning(
                    "Class %r was not learnt: mean Dice %.3f in the %d validation scans that have it. Train longer "
                    "(max_epochs), with more patches on foreground (patches::pos) or a smaller background_weight.",
                    name,
                    known.mean(),
                    len(known),
                )
