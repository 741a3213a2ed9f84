"""Curves of a run's metrics, as a picture and in TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from models_genesis_bundle.engines.metrics_table import read_metrics
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.visualize.cube_pictures import try_to_save_figure

logger = logging.getLogger(__name__)

RESTORATION_PLOTS: Mapping[str, Sequence[str]] = {
    "mean squared error": ("train_mse", "val_mse", "identity_mse"),
    "mean absolute error": ("val_mae", "identity_mae"),
    "structural similarity": ("val_ssim", "identity_ssim"),
    "learning rate": ("learning_rate",),
}


def metric_curves(metrics_path: str | Path, plots: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw columns of a ``metrics.csv`` over the epochs, in plots next to each other.

    Args:
        metrics_path: the ``metrics.csv``; empty cells are skipped.
        plots: the title of each plot and its columns; None: those of a pretraining, with the errors of unrestored cubes (the
            identity). A title that ends in "error" gets a logarithmic axis, a column that starts with "identity" a dashed line.

    Raises:
        ValueError: there is no plot to draw.
    """
    plots = RESTORATION_PLOTS if plots is None else plots
    if not plots:
        raise ValueError("metric_curves: expected at least one plot, a title with a list of columns, found none.")
    lines = read_metrics(metrics_path)
    figure = Figure(figsize=(3.4 * len(plots), 3), layout="constrained")
    for axis, (title, columns) in zip(figure.subplots(1, len(plots), squeeze=False)[0], plots.items(), strict=True):
        for column in columns:
            points = [(line["epoch"], line[column]) for line in lines if column in line]
            if points:
                unrestored = column.startswith("identity")
                name = column.replace("_", " ") + " (unrestored)" * unrestored
                axis.plot(*zip(*points, strict=True), "--" if unrestored else "-", marker=".", label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
        if title.endswith("error"):
            axis.set_yscale("log")
        if axis.lines:
            axis.legend(fontsize=8)
    return figure


@dataclass(eq=False)
class MetricCurves:
    """Draws ``metrics.csv`` at the end of a run, and every ``interval`` epochs.

    List it among the trainer's handlers after the ``MetricsTable``.

    Args:
        metrics_path: the ``metrics.csv``.
        output_path: the PNG.
        interval: epochs between two drawings.
        plots: see ``metric_curves``.
    """

    metrics_path: str
    output_path: str
    interval: int = 1
    plots: Mapping[str, Sequence[str]] | None = None

    def attach(self, engine: Engine) -> None:
        """Draw on the main process."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval) | Events.COMPLETED, self.draw)

    def draw(self, engine: Engine) -> None:
        """Write the PNG if there is an epoch to draw."""
        if read_metrics(self.metrics_path):
            try_to_save_figure(metric_curves(self.metrics_path, self.plots), self.output_path)


def summary_writer(log_dir: str) -> Any:
    """A TensorBoard writer for MONAI's handlers; only the main process writes."""
    return _LateWriter(log_dir, writes=is_main_process())


class _LateWriter:
    """A ``SummaryWriter`` that opens its folder after `RunFolder` has moved an earlier run, and survives write errors."""

    def __init__(self, log_dir: str, writes: bool) -> None:
        self.log_dir = log_dir
        self.writes = writes

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self.log_dir)

    def close(self) -> None:
        if "_writer" in vars(self):
            self._call("close")

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> None:
        if not self.writes:
            return
        try:
            getattr(self._writer, name)(*args, **kwargs)
        except OSError as error:
            self.writes = False
            logger.warning("%s: it cannot be written, and the run continues without it: %s", self.log_dir, error)
