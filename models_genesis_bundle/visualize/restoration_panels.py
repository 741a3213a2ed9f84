"""Restoration panels of a validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from models_genesis_bundle.visualize.panel_handler import PanelHandler
from models_genesis_bundle.visualize.restoration_panel import restoration_figure
from monai.utils import convert_to_numpy
from monai.utils.enums import CommonKeys

__all__ = ["RestorationPanels"]


class RestorationPanels(PanelHandler):
    """Draws some of the cubes of a validation, the same ones each time: clean, deformed, restored, error.

    Args:
        output_dir: receives ``epoch_0001.png``, ….
        summary_writer: a TensorBoard writer, which receives the same figure.
        num_cubes: rows of the panel.
        interval: epochs between two panels.
        value_range: grey values from black to white.
    """

    def __init__(
        self,
        output_dir: str,
        summary_writer: Any | None = None,
        num_cubes: int = 4,
        interval: int = 1,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(output_dir, "restoration", summary_writer, num_cubes, interval)
        self.value_range = value_range

    def row(self, case: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """Clean, deformed and restored cube, each (C, X, Y[, Z])."""
        keys = (CommonKeys.LABEL, CommonKeys.IMAGE, CommonKeys.PRED)
        return tuple(convert_to_numpy(case[key].float()) for key in keys)

    def figure(self, rows: list[tuple[np.ndarray, ...]], title: str) -> Figure:
        """Draw the cubes, one a row."""
        clean, deformed, restored = zip(*rows, strict=True)
        return restoration_figure(clean, deformed, restored, self.value_range, title=title)
