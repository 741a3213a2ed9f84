"""Restoration panels of a validation, as PNG files and in TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils.enums import CommonKeys

from models_genesis_bundle.visualize.restoration_panel import restoration_figure, save_figure

__all__ = ["RestorationPanels"]


class RestorationPanels:
    """Draws some of the cubes of a validation, the same ones each time, spread over the whole set.

    Args:
        output_dir: receives ``epoch_0001.png``, ….
        summary_writer: a TensorBoard writer, which receives the same figure.
        num_cubes: rows of the panel.
        interval: epochs between two panels.
        value_range: grey values from black to white.
        enabled: false on the processes that write nothing.
    """

    def __init__(
        self,
        output_dir: str,
        summary_writer: Any | None = None,
        num_cubes: int = 4,
        interval: int = 1,
        value_range: tuple[float, float] = (0.0, 1.0),
        enabled: bool = True,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.summary_writer = summary_writer
        self.num_cubes = num_cubes
        self.interval = interval
        self.value_range = value_range
        self.enabled = enabled
        self.rows: list[tuple[np.ndarray, ...]] = []
        self.seen = 0

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator whose output is the batch's dictionary (``decollate: false``)."""
        if self.enabled:
            engine.add_event_handler(Events.EPOCH_STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.draw)

    def start(self, engine: Engine) -> None:
        """Forget the last validation's cubes and choose this one's."""
        self.rows, self.seen = [], 0
        total = len(engine.data_loader.sampler)
        self.chosen = set(np.linspace(0, total - 1, min(self.num_cubes, total)).round().astype(int).tolist())

    def collect(self, engine: Engine) -> None:
        """Keep the chosen cubes of a batch."""
        if engine.state.epoch % self.interval and engine.state.epoch != 1:
            return
        output = engine.state.output
        names = (CommonKeys.LABEL, CommonKeys.IMAGE, CommonKeys.PRED)
        for index in range(len(output[CommonKeys.PRED])):
            if self.seen in self.chosen:
                self.rows.append(tuple(output[name][index].detach().float().cpu().numpy() for name in names))
            self.seen += 1

    def draw(self, engine: Engine) -> None:
        """Write the panel."""
        if not self.rows:
            return
        epoch = engine.state.epoch
        clean, deformed, restored = zip(*self.rows, strict=True)
        figure = restoration_figure(clean, deformed, restored, self.value_range, title=f"epoch {epoch}")
        save_figure(figure, self.output_dir / f"epoch_{epoch:04d}.png")
        if self.summary_writer is not None:
            self.summary_writer.add_figure("restoration", figure, global_step=epoch)
