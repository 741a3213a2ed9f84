"""Runs a trainer, and handles its interruption by a signal or by a lost worker."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import ignite.distributed as idist
from ignite.engine import Engine, Events
from models_genesis_bundle.engines.gradients import step_is_due
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.engines.training_state import TrainingState

if TYPE_CHECKING:
    from models_genesis_bundle.bundle_config import RunFolder


logger = logging.getLogger(__name__)

# Parts of torch's messages when a worker was killed, or shared memory is full.
_KILLED = ("is killed by signal", "exited unexpectedly")
_NO_SHARED_MEMORY = ("shared memory", "(shm)", "</torch_", "Bus error")


class LostWorkerError(RuntimeError):
    """A data loader's worker was killed, or shared memory is full; the message says what to do."""


def run_training(trainer: Engine, state: TrainingState, run_folder: RunFolder) -> None:
    """Run a trainer so that an interruption loses nothing.

    Ctrl-C and SIGTERM end the run after the current iteration or validation. Its state is saved, and the log says how to
    continue. If the sampler is not an `EpochSampler`, the run ends after the epoch. A second signal ends the process at once.
    Several processes all end after the same iteration.

    Args:
        trainer: MONAI's ``SupervisedTrainer``.
        state: saves the state of the run; one of the trainer's handlers.
        run_folder: released for another run in this process if this one ends early.

    Raises:
        SystemExit: a signal ended the run; the status is 128 plus the signal's number, as in a shell.
        LostWorkerError: a worker of the data loader was killed, or ``/dev/shm`` is too small.
    """
    interruption = _Interruption(state)
    done = False
    try:
        with interruption.watch(trainer):
            trainer.run()
        done = not interruption.ended_by
    except RuntimeError as error:
        if not _is_of_a_lost_worker(error):
            raise
        if not interruption.asked_by:
            raise LostWorkerError(_remedy(error, state)) from error
        interruption.ended_by = interruption.asked_by  # a signal to all processes, workers included
    finally:
        if not done:
            run_folder.end()
    if done:
        return
    if is_main_process():
        logger.warning(
            "%s ended the run in epoch %d, iteration %d. The same command with `--resume true` continues from %s.",
            "Ctrl-C" if interruption.ended_by == signal.SIGINT else signal.Signals(interruption.ended_by).name,
            trainer.state.epoch,
            trainer.state.iteration,
            state.path,
        )
    raise SystemExit(128 + interruption.ended_by)


class _Interruption:
    """Ends a trainer after a signal, at a point where its state can be saved."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self.asked_by = 0  # number of the signal that this process received; 0: none
        self.ended_by = 0  # number of the signal to any process that ended the run

    @contextmanager
    def watch(self, trainer: Engine) -> Iterator[None]:
        handles = [
            trainer.add_event_handler(Events.ITERATION_COMPLETED, self.end_within_epoch),
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self.end_if_asked),
        ]
        listens = threading.current_thread() is threading.main_thread()  # required by signal.signal
        self.before = {
            one: signal.signal(one, self.ask)
            for one in (signal.SIGINT, signal.SIGTERM)
            if listens and signal.getsignal(one) is not signal.SIG_IGN  # ignored, as in the background of a script
        }
        try:
            yield
        finally:
            for one, handler in self.before.items():
                signal.signal(one, handler)
            for handle in handles:
                handle.remove()

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked_by = number
        for one, handler in self.before.items():  # a second signal acts as usual
            signal.signal(one, handler)

    def end_within_epoch(self, engine: Engine) -> None:
        if self.state.can_save_within_epoch(engine) and step_is_due(engine):
            self.end_if_asked(engine)

    def end_if_asked(self, engine: Engine) -> None:
        self.ended_by = int(idist.all_reduce(self.asked_by, "MAX"))
        if self.ended_by:
            self.state.save(engine)
            engine.terminate(skip_completed=True)


def _is_of_a_lost_worker(error: RuntimeError) -> bool:
    text = str(error)
    killed = text.startswith("DataLoader worker") and any(words in text for words in _KILLED)
    return killed or any(words in text for words in _NO_SHARED_MEMORY)


def _remedy(error: RuntimeError, state: TrainingState) -> str:
    shared = shutil.disk_usage("/dev/shm")
    said = str(error).strip().splitlines()[-1]
    return (
        f"A worker of the data loader was lost: {said} Either the memory of the machine is full, or /dev/shm, which the workers "
        f"use to pass on their items, is too small: it has {shared.total >> 20} MiB, of which {shared.free >> 20} are free now. "
        "Use no workers (`--num_workers 0`) or fewer workers. In a container, you can enlarge /dev/shm "
        f"(`docker run --shm-size 8g`). `--resume true` continues from {state.path}."
    )
