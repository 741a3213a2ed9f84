"""An undefined validation metric never makes a best epoch."""

from __future__ import annotations

import logging
import math

from ignite.engine import Engine, Events

__all__ = ["UndefinedMetric"]

logger = logging.getLogger(__name__)


class UndefinedMetric:
    """Makes the key metric of a validation NaN where it is undefined, and its epoch not the best one.

    The Dice of scans without foreground and the area under the ROC curve of one class alone are undefined. MONAI gives 0 for
    the former, and always takes the first epoch as the best so far. List it first among the validator's
    handlers, before those that write the metrics.
    """

    def __init__(self) -> None:
        self.said = False

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator with a key metric."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.keep_best)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.judge)

    def keep_best(self, engine: Engine) -> None:
        """Keep what was the best before this validation."""
        self.best = (engine.state.best_metric, engine.state.best_metric_epoch)

    def judge(self, engine: Engine) -> None:
        """Undo an undefined metric; log it the first time."""
        name = engine.state.key_metric_name
        of_items = getattr(engine.state, "metric_details", {}).get(name)
        of_nothing = of_items is not None and bool(of_items.isnan().all())
        if not of_nothing and not math.isnan(engine.state.metrics[name]):
            return
        engine.state.metrics[name] = math.nan
        engine.state.best_metric, engine.state.best_metric_epoch = self.best
        if not self.said:
            self.said = True
            logger.warning(
                "%s is undefined in epoch %d: the validation has no foreground, or one class alone, to measure it on. Such an "
                "epoch is not taken for a better one. Put scans with all classes into the validation (split::split_file, "
                "split::validation_fraction or another split::seed), and look at how labels and classes are named.",
                name,
                engine.state.epoch,
            )
