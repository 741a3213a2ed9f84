"""Panels of a validation's cases, as PNG files and in TensorBoard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.visualize.restoration_panel import try_to_save_figure
from monai.data import decollate_batch

__all__ = ["PanelHandler"]


class PanelHandler(ABC):
    """Draws some of the cases of a validation, the same ones each time, spread over the whole set.

    Args:
        output_dir: receives ``epoch_0001.png``, ….
        tag: the figure's name in TensorBoard.
        summary_writer: a TensorBoard writer, which receives the same figure.
        num_cases: rows of the panel.
        interval: epochs between two panels.
    """

    def __init__(self, output_dir: str, tag: str, summary_writer: Any | None, num_cases: int, interval: int) -> None:
        self.output_dir = Path(output_dir)
        self.tag = tag
        self.summary_writer = summary_writer
        self.num_cases = num_cases
        self.interval = interval
        self.rows: list[Any] = []
        self.seen = 0

    @abstractmethod
    def row(self, case: Mapping[str, Any]) -> Any:
        """What is kept of a case until the panel is drawn.

        Args:
            case: its part of the evaluator's output, without a batch dimension.
        """

    @abstractmethod
    def figure(self, rows: list[Any], title: str) -> Figure:
        """Draw the panel."""

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator whose output is the batch's dictionary, or a list with one for each case; on the main process."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.draw)

    def start(self, engine: Engine) -> None:
        """Forget the last validation's cases and choose this one's."""
        self.rows, self.seen = [], 0
        total = len(engine.data_loader.sampler)
        self.chosen = set(np.linspace(0, total - 1, min(self.num_cases, total)).round().astype(int).tolist())

    def collect(self, engine: Engine) -> None:
        """Keep the chosen cases of a batch."""
        if engine.state.epoch % self.interval and engine.state.epoch != 1:
            return
        output = engine.state.output
        for case in output if isinstance(output, list) else decollate_batch(output):
            if self.seen in self.chosen:
                self.rows.append(self.row(case))
            self.seen += 1

    def draw(self, engine: Engine) -> None:
        """Write the panel."""
        if not self.rows:
            return
        epoch = engine.state.epoch
        figure = self.figure(self.rows, f"epoch {epoch}")
        try_to_save_figure(figure, self.output_dir / f"epoch_{epoch:04d}.png")
        if self.summary_writer is not None:
            self.summary_writer.add_figure(self.tag, figure, global_step=epoch)
