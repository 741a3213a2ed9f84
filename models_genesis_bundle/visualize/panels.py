"""Panels of pictures: of the cases of a validation, and of each scan that inference restores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from models_genesis_bundle.engines.processes import is_main_process
from models_genesis_bundle.visualize.cube_pictures import restoration_figure, try_to_save_figure
from models_genesis_bundle.visualize.segmentation_overlay import (
    SegmentationSlice,
    segmentation_figure,
    segmentation_slices,
)
from monai.data import MetaTensor, decollate_batch
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey
from monai.utils.enums import CommonKeys


class _PanelHandler(ABC):
    """Draws the same cases after each validation, as PNG files and in TensorBoard."""

    tag: str  # the figure's name in TensorBoard

    def __init__(self, output_dir: str, summary_writer: Any | None, num_cases: int, interval: int) -> None:
        self.output_dir = Path(output_dir)
        self.summary_writer = summary_writer
        self.num_cases = num_cases
        self.interval = interval
        self.rows: list[Any] = []
        self.seen = 0
        self.drawn = False
        self.validated: int | None = None  # epoch of the last validation

    @abstractmethod
    def _row(self, case: Mapping[str, Any]) -> Any:
        """The part of a case (one of the evaluator's outputs, without batch dimension) that its picture needs."""

    @abstractmethod
    def _figure(self, title: str) -> Figure:
        """The panel of all rows."""

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator whose output is a batch or a list of cases; on the main process."""
        if is_main_process():
            engine.add_event_handler(Events.EPOCH_STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.draw_at_interval)

    def start(self, engine: Engine) -> None:
        """Remove the cases of the last validation, and choose those of this one."""
        self.rows, self.seen, self.drawn, self.epoch = [], 0, False, engine.state.epoch
        total = len(engine.data_loader.sampler)
        self.chosen = set(np.linspace(0, total - 1, min(self.num_cases, total)).round().astype(int).tolist())

    def collect(self, engine: Engine) -> None:
        """Keep the chosen cases of a batch."""
        output = engine.state.output
        for case in output if isinstance(output, list) else decollate_batch(output):
            if self.seen in self.chosen:
                self.rows.append(self._row(case))
            self.seen += 1

    def draw_at_interval(self, engine: Engine) -> None:
        """Write the panel of the first epoch, and of the first validation in or after every ``interval``-th epoch."""
        before = self.epoch - 1 if self.validated is None else self.validated
        if self.epoch == 1 or self.epoch // self.interval > before // self.interval:
            self.draw()
        self.validated = self.epoch

    def draw(self) -> None:
        """Write the panel of the last validation if it is not yet written; call it at the end of a run."""
        if self.drawn or not self.rows:
            return
        figure = self._figure(f"epoch {self.epoch}")
        try_to_save_figure(figure, self.output_dir / f"epoch_{self.epoch:04d}.png")
        if self.summary_writer is not None:
            self.summary_writer.add_figure(self.tag, figure, global_step=self.epoch)
        self.drawn = True


class RestorationPanels(_PanelHandler):
    """Draws the same cubes, spread over the whole set, after each validation: clean, deformed, restored, error.

    Args:
        output_dir: folder for ``epoch_0001.png``, ….
        summary_writer: a TensorBoard writer for the same figure.
        num_cubes: rows of the panel.
        interval: epochs between two panels.
        value_range: grey values from black to white.
    """

    tag = "restoration"

    def __init__(
        self,
        output_dir: str,
        summary_writer: Any | None = None,
        num_cubes: int = 4,
        interval: int = 1,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(output_dir, summary_writer, num_cubes, interval)
        self.value_range = value_range

    def _row(self, case: Mapping[str, Any]) -> list[torch.Tensor]:
        return [case[key].detach().float().cpu() for key in (CommonKeys.LABEL, CommonKeys.IMAGE, CommonKeys.PRED)]

    def _figure(self, title: str) -> Figure:
        clean, deformed, restored = zip(*self.rows, strict=True)
        return restoration_figure(clean, deformed, restored, self.value_range, title=title)


class SegmentationPanels(_PanelHandler):
    """Draws the same cases, spread over the whole set, after each validation: outlines over the image.

    The evaluator's output has ``image`` (C, X, Y[, Z]), ``label`` and ``pred``, both as ``class_numbers`` accepts them. A
    ``MetaTensor`` is drawn with its file name, the patient's sides and voxels of the right shape.

    Args:
        output_dir: folder for ``epoch_0001.png``, ….
        label_names: the foreground classes' names, in order.
        summary_writer: a TensorBoard writer for the same figure.
        num_cases: rows of the panel.
        interval: epochs between two panels.
    """

    tag = "segmentation"

    def __init__(
        self,
        output_dir: str,
        label_names: Sequence[str],
        summary_writer: Any | None = None,
        num_cases: int = 4,
        interval: int = 1,
    ) -> None:
        super().__init__(output_dir, summary_writer, num_cases, interval)
        self.label_names = list(label_names)

    def _row(self, case: Mapping[str, Any]) -> tuple[str, list[SegmentationSlice]]:
        image = case[CommonKeys.IMAGE]
        affine, name = None, ""
        if isinstance(image, MetaTensor):
            affine, name = image.affine, Path(str(image.meta.get(ImageMetaKey.FILENAME_OR_OBJ, ""))).name
        label, prediction = (class_numbers(case[key]) for key in (CommonKeys.LABEL, CommonKeys.PRED))
        return name, segmentation_slices(image, label, prediction, affine)

    def _figure(self, title: str) -> Figure:
        return segmentation_figure(self.rows, self.label_names, title)


def class_numbers(segmentation: torch.Tensor) -> torch.Tensor:
    """The class of each voxel (1, X, Y[, Z]), from class numbers or from a channel for each class, as one-hot or logits."""
    return segmentation if len(segmentation) == 1 else segmentation.argmax(dim=0, keepdim=True)


class SaveRestorationPaneld(MapTransform):
    """Writes ``<name>_panel.png``: the scan under ``clean``, the network's input under ``image``, its output, and the error.

    Args:
        keys: key of the restored scan (C, X, Y, Z); the others have the same shape.
        output_dir: folder for the PNG; ``result`` has its name, a path below this folder, see `ScanResults`.
        value_range: grey values from black to white.
    """

    def __init__(
        self, keys: Hashable = CommonKeys.PRED, output_dir: str = ".", value_range: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.value_range = value_range

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the panel and return the unchanged data."""
        clean, deformed, restored = ([data[key]] for key in ("clean", CommonKeys.IMAGE, self.keys[0]))
        figure = restoration_figure(clean, deformed, restored, self.value_range, title=data["result"])
        try_to_save_figure(figure, self.output_dir / f"{data['result']}_panel.png")
        return dict(data)
