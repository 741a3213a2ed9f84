"""A restoration panel for every scan that inference restores."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.visualize.restoration_panel import restoration_figure, try_to_save_figure
from monai.transforms import MapTransform
from monai.utils.enums import CommonKeys

__all__ = ["SaveRestorationPaneld"]


class SaveRestorationPaneld(MapTransform):
    """Writes ``<name>_panel.png``: the scan, what the network saw, what it gave, and the error.

    Args:
        keys: the restored scan (C, X, Y, Z).
        output_dir: receives the PNG.
        clean_key: the scan as it was, same shape.
        deformed_key: what the network saw, same shape.
        value_range: grey values from black to white.
        name_key: the name of the scan's results, a path below `output_dir`, as `ScanResults` gives it.
    """

    def __init__(
        self,
        keys: Hashable = CommonKeys.PRED,
        output_dir: str = ".",
        clean_key: str = "clean",
        deformed_key: str = CommonKeys.IMAGE,
        value_range: tuple[float, float] = (0.0, 1.0),
        name_key: str = "result",
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.clean_key = clean_key
        self.deformed_key = deformed_key
        self.value_range = value_range
        self.name_key = name_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the panel and return the data as they came."""
        for key in self.key_iterator(dict(data)):
            name = data[self.name_key]
            arrays = ([data[self.clean_key]], [data[self.deformed_key]], [data[key]])
            try_to_save_figure(
                restoration_figure(*arrays, self.value_range, title=name), self.output_dir / f"{name}_panel.png"
            )
        return dict(data)
