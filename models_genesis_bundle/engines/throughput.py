"""The speed of a run, and its waiting time for data."""

from __future__ import annotations

import time

from ignite.engine import Engine, Events
from ignite.handlers.tqdm_logger import ProgressBar
from models_genesis_bundle.engines.processes import is_main_process
from monai.utils.enums import CommonKeys

__all__ = ["Throughput", "TrainingProgress"]


class Throughput:
    """Puts ``cubes_per_second``, ``data_wait_fraction`` and ``train_seconds`` of each epoch into the trainer's metrics.

    ``data_wait_fraction`` is the fraction of the training time (without validation) in which the trainer waited for a batch: with
    0 workers the time of reading and deforming, with workers the part of it that the workers could not hide.
    """

    def attach(self, engine: Engine) -> None:
        """Follow the engine's events."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_epoch)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self.start_waiting)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self.stop_waiting)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.count)

    def start_epoch(self, engine: Engine) -> None:
        """Begin at zero."""
        self.started = time.perf_counter()
        self.waited = 0.0
        self.cubes = 0

    def start_waiting(self, engine: Engine) -> None:
        """Note when a batch was asked for."""
        self.asked = time.perf_counter()

    def stop_waiting(self, engine: Engine) -> None:
        """Add the time until it came, and its cubes."""
        self.waited += time.perf_counter() - self.asked
        self.cubes += len(engine.state.batch[CommonKeys.IMAGE])

    def count(self, engine: Engine) -> None:
        """Update the metrics of the epoch."""
        seconds = time.perf_counter() - self.started
        engine.state.metrics["train_seconds"] = seconds
        engine.state.metrics["cubes_per_second"] = self.cubes / seconds
        engine.state.metrics["data_wait_fraction"] = self.waited / seconds


class TrainingProgress:
    """Ignite's tqdm bar for each epoch, with the loss and, after ``Throughput``, the cubes per second.

    It is for trainers with ``decollate: true``.
    """

    def attach(self, engine: Engine) -> None:
        """Show the bar; on the main process only."""
        if not is_main_process():
            return

        def figures(output: list[dict[str, float]]) -> dict[str, float]:
            speed = engine.state.metrics.get("cubes_per_second", float("nan"))
            return {"loss": output[0][CommonKeys.LOSS], "cubes/s": round(speed, 2)}

        ProgressBar(desc="epoch", persist=True).attach(engine, output_transform=figures)
