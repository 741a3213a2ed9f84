"""Segmentation panels of a validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from models_genesis_bundle.visualize.panel_handler import PanelHandler
from models_genesis_bundle.visualize.segmentation_overlay import (
    SegmentationSlice,
    segmentation_figure,
    segmentation_slices,
)
from monai.data import MetaTensor
from monai.utils.enums import CommonKeys

__all__ = ["SegmentationPanels", "class_numbers"]


class SegmentationPanels(PanelHandler):
    """Draws some of the cases of a validation, the same ones each time: outlines of label and prediction over the image.

    The evaluator's output holds ``image`` (C, X, Y[, Z]), ``label`` and ``pred``; these two are class numbers
    (1, X, Y[, Z]) or one channel for each class (N, X, Y[, Z]): one-hot, probabilities or logits.

    Args:
        output_dir: receives ``epoch_0001.png``, ….
        label_names: the foreground classes' names, in order.
        summary_writer: a TensorBoard writer, which receives the same figure.
        num_cases: rows of the panel.
        interval: epochs between two panels.
    """

    def __init__(
        self,
        output_dir: str,
        label_names: Sequence[str],
        summary_writer: Any | None = None,
        num_cases: int = 4,
        interval: int = 1,
    ) -> None:
        super().__init__(output_dir, "segmentation", summary_writer, num_cases, interval)
        self.label_names = list(label_names)

    def row(self, case: Mapping[str, Any]) -> list[SegmentationSlice]:
        """The slices that show most of the case."""
        image = case[CommonKeys.IMAGE]
        affine = image.affine if isinstance(image, MetaTensor) else None
        label, prediction = (class_numbers(case[key]) for key in (CommonKeys.LABEL, CommonKeys.PRED))
        return segmentation_slices(image, label, prediction, affine)

    def figure(self, rows: list[list[SegmentationSlice]], title: str) -> Figure:
        """Draw the cases, one a row."""
        return segmentation_figure([("", slices) for slices in rows], self.label_names, title)


def class_numbers(segmentation: torch.Tensor) -> torch.Tensor:
    """The number of each voxel's class, (1, X, Y[, Z]), from class numbers or from one channel for each class."""
    return segmentation if len(segmentation) == 1 else segmentation.argmax(dim=0, keepdim=True)
