"""Handlers that follow the key metric of the validations."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.weights import write_weights
from monai.engines import Workflow
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

logger = logging.getLogger(__name__)

UNLEARNT_DICE = 0.01  # mean Dice below which a class counts as not learnt


class UndefinedMetric:
    """Sets an undefined key metric of a validation to NaN, so that its epoch cannot be the best one.

    The Dice of scans without foreground is undefined, and so is the area under the ROC curve of a single class. MONAI returns a
    Dice of 0, and the first epoch always counts as the best so far. List it as the validator's first handler.
    """

    def __init__(self) -> None:
        self.warned = False

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator with a key metric."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._note_best)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._undo_undefined)

    def _note_best(self, engine: Engine) -> None:
        self.best = (engine.state.best_metric, engine.state.best_metric_epoch)

    def _undo_undefined(self, engine: Engine) -> None:
        name = engine.state.key_metric_name
        of_items = getattr(engine.state, "metric_details", {}).get(name)
        of_nothing = of_items is not None and bool(of_items.isnan().all())
        if not of_nothing and not math.isnan(engine.state.metrics[name]):
            return
        engine.state.metrics[name] = math.nan
        engine.state.best_metric, engine.state.best_metric_epoch = self.best
        if not self.warned:
            self.warned = True
            logger.warning(
                "%s is undefined in epoch %d, because the validation data have no foreground, or only one class. Such an epoch is "
                "never the best one. Put scans of all classes into the validation list (split::split_file, "
                "split::validation_fraction or another split::seed), and check the names of labels and classes.",
                name,
                engine.state.epoch,
            )


@dataclass(eq=False)
class StepSchedule:
    """Steps a schedule after each epoch; a ``ReduceLROnPlateau`` after each validation with a defined key metric.

    MONAI's ``LrScheduleHandler`` steps after every epoch. If validations are less frequent, it has no metric after the first
    epoch, and counts each later metric several times. List this handler after the ``ValidationHandler``.

    Args:
        lr_scheduler: the schedule.
        validator: the evaluator with the key metric.

    Raises:
        ValueError: the ``mode`` of a ``ReduceLROnPlateau`` does not fit the metric, such as ``max`` for an error.
    """

    lr_scheduler: LRScheduler
    validator: Engine

    def __post_init__(self) -> None:
        if isinstance(self.lr_scheduler, ReduceLROnPlateau) and isinstance(self.validator, Workflow):
            mode, better = ("max", "larger") if self.validator.metric_cmp_fn(1.0, 0.0) else ("min", "smaller")
            if self.lr_scheduler.mode != mode:
                raise ValueError(
                    f"lr_scheduler::mode: expected {mode!r}, because a {better} {self.validator.state.key_metric_name} is "
                    f"better, found {self.lr_scheduler.mode!r}."
                )

    def attach(self, engine: Engine) -> None:
        """Step after each of the trainer's epochs."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._step)

    def _step(self, engine: Engine) -> None:
        if not isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step()
        elif self.validator.state.epoch == engine.state.epoch:
            metric = self.validator.state.metrics[self.validator.state.key_metric_name]
            if not math.isnan(metric):
                self.lr_scheduler.step(metric)


@dataclass(eq=False)
class BestWeights:
    """Writes a weight file after each epoch with the best validation so far. Without a defined validation, writes it at the end.

    At the end of the run, the log names the file, its epoch and its score. List it among the trainer's handlers after the
    ``ValidationHandler``.

    Args:
        path: the file, replaced atomically.
        network: the validated network, whose weights are written.
        validator: the evaluator with ``best_metric_epoch``.
        records: plain values for the file: ``preprocessing``, ``data``, ….
        use: purpose of the file, for the log.
    """

    path: str
    network: torch.nn.Module
    validator: Engine
    records: Mapping[str, Any] | None = None
    use: str = ""

    def attach(self, engine: Engine) -> None:
        """Check after each epoch and at the end, on the main process only."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._write_if_best)
            engine.add_event_handler(Events.COMPLETED, self._conclude)

    def _write_if_best(self, engine: Engine) -> None:
        if self.validator.state.best_metric_epoch == engine.state.epoch:
            self._write(engine)

    def _conclude(self, engine: Engine) -> None:
        best = self.validator.state
        if best.best_metric_epoch == -1:
            logger.warning("No validation had a defined result: %s holds the weights of the last epoch.", self.path)
            self._write(engine)
            return
        score = f"{best.key_metric_name} {best.best_metric:.4g}"
        use = f", for {self.use}" if self.use else ""
        logger.info("Best weights, of epoch %d (%s): %s%s", best.best_metric_epoch, score, self.path, use)

    def _write(self, engine: Engine) -> None:
        metrics = {name: float(value) for name, value in self.validator.state.metrics.items()}
        write_weights(self.path, self.network, epoch=engine.state.epoch, metrics=metrics, **(self.records or {}))


@dataclass(eq=False)
class EarlyStopping:
    """Ends training when there was no better validation for ``patience`` epochs.

    ``TrainingState`` restores the count at a resume; MONAI's ``EarlyStopHandler`` starts again. List it after the
    ``ValidationHandler`` and ``TrainingState``.

    Args:
        patience: epochs without a better validation before the run ends, 1 or more; infinity: never.
        validator: the evaluator with ``best_metric_epoch``.
    """

    patience: float
    validator: Engine

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"patience: expected at least 1 epoch, found {self.patience}.")

    def attach(self, engine: Engine) -> None:
        """Check after each epoch, and at the start, because a run may resume with a smaller patience."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_if_stalled)
        engine.add_event_handler(Events.STARTED, self._end_if_stalled)

    def _end_if_stalled(self, engine: Engine) -> None:
        best_epoch = self.validator.state.best_metric_epoch
        if best_epoch > 0 and engine.state.epoch - best_epoch >= self.patience:
            logger.info(
                "No better validation for %d epochs (best: epoch %d): training ends.", self.patience, best_epoch
            )
            engine.terminate()


@dataclass(eq=False)
class UnlearntClasses:
    """Warns at the end of training about the classes with a Dice below 0.01 in the best validation.

    A mean over classes hides a class that is never predicted. List it among the trainer's handlers after the
    ``ValidationHandler``.

    Args:
        label_names: the foreground classes, in the order of the metric's columns.
        validator: the evaluator, whose key metric keeps its details: Dice (scans, classes), NaN if a scan lacks the class.
    """

    label_names: Sequence[str]
    validator: Engine
    dice: torch.Tensor | None = field(default=None, init=False)

    def attach(self, engine: Engine) -> None:
        """Check after each epoch, warn after the last one."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._keep_best)
        engine.add_event_handler(Events.COMPLETED, self._warn)

    def _keep_best(self, engine: Engine) -> None:
        state = self.validator.state
        if state.best_metric_epoch == engine.state.epoch:
            self.dice = state.metric_details[state.key_metric_name].detach().cpu()

    def _warn(self, engine: Engine) -> None:
        if self.dice is None:  # a resumed training without a better validation
            return
        unlearnt = []
        for name, dice in zip(self.label_names, self.dice.T, strict=True):
            known = dice[~dice.isnan()]
            if len(known) and known.mean() < UNLEARNT_DICE:
                unlearnt.append(
                    f"{name!r} (mean Dice {known.mean():.3f} in the {len(known)} validation scans that have it)"
                )
        if unlearnt:
            logger.warning(
                "Classes that were not learnt: %s. Train longer (max_epochs), with more patches on foreground (patches::pos) "
                "or a smaller background_weight.",
                ", ".join(unlearnt),
            )
