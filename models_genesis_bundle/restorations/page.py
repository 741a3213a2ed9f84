"""The page of a comparison of restorations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from models_genesis_bundle.reports.html_page import picture_png, write_page
from models_genesis_bundle.restorations.reading import KINDS, WHOLE
from models_genesis_bundle.restorations.restorer import Restorer
from models_genesis_bundle.visualize.slices import as_picture, middle_slice
from monai.metrics import MSEMetric, PSNRMetric, SSIMMetric

LARGEST_ERROR = 0.5  # brightest colour of the error maps, as a fraction of the intensity range
_ERROR_COLOURS = "magma"
_PICTURED = 3  # cubes
_SSIM_WINDOW = 7


@dataclass(frozen=True)
class Column:
    """The restorations and the features of one network."""

    restorer: Restorer
    restored: Mapping[str, torch.Tensor]  # (n, 1, X, Y[, Z]) by kind of deformation
    features: torch.Tensor  # (3, X, Y[, Z]) in 0 … 1, the colours of a part of the scan
    share: float  # fraction of the features' variance that the colours show


@dataclass(frozen=True)
class Group:
    """Networks with the same preprocessing, and therefore the same cubes."""

    clean: torch.Tensor  # (n, 1, X, Y[, Z]) in 0 … 1
    deformed: Mapping[str, torch.Tensor]  # (n, 1, X, Y[, Z]) by kind of deformation
    spacing: Sequence[float]  # sides of a voxel in millimetres
    slab: torch.Tensor  # (1, X, Y[, Z]), the part of the scan whose features are shown
    level: int  # its middle slice along Z
    columns: Sequence[Column]


class _Picture(NamedTuple):
    png: str
    ratio: float  # width by height
    alt: str


def write_comparison_page(path: Path, scan: str, groups: Sequence[Group]) -> Path:
    """Write the page of a comparison to ``path``; ``scan`` is the scan's name on the page."""
    sides = " x ".join(str(side) for side in groups[0].clean.shape[2:])
    rows = [(WHOLE, cube) for cube in range(min(_PICTURED, len(groups[0].clean)))]
    rows += [(kind, 0) for kind in KINDS if kind not in (WHOLE, "none")]
    write_page(
        path,
        "restorations/page.html",
        scan=scan,
        about=f"{len(groups[0].clean)} cubes of {sides} voxels",
        files=[
            (column.restorer, f" ({number})" if len(groups) > 1 else "")
            for number, group in enumerate(groups, start=1)
            for column in group.columns
        ],
        groups=groups,
        rows=[
            (f"Cube {cube + 1}, deformation: {kind}", [_cells(group, kind, cube) for group in groups])
            for kind, cube in rows
        ],
        largest_error=LARGEST_ERROR,
        error_scale=picture_png(np.linspace(0, 1, 256)[None], _ERROR_COLOURS),
        features=[_feature_cells(group) for group in groups],
        tables=_tables(groups),
    )
    return path


def _cells(group: Group, kind: str, cube: int) -> Iterator[tuple[str, list[list[_Picture]]]]:
    """The title of each column, and its pictures of intensities and errors."""
    clean, deformed = group.clean[cube, 0], group.deformed[kind][cube, 0]

    def pair(name: str, array: torch.Tensor) -> tuple[str, list[list[_Picture]]]:
        error = (array - clean).abs()
        pictures = _planes(array, group.spacing, name)
        return name, [pictures, _planes(error, group.spacing, f"error of {name}", _ERROR_COLOURS, LARGEST_ERROR)]

    yield "original", [_planes(clean, group.spacing, "original")]
    yield pair("deformed", deformed)
    for column in group.columns:
        yield pair(column.restorer.name, column.restored[kind][cube, 0])


def _planes(
    array: torch.Tensor, spacing: Sequence[float], name: str, cmap: str = "gray", high: float = 1.0
) -> list[_Picture]:
    values, planes = array.numpy(), {"axial": (0, 1), "coronal": (0, 2)}
    return [
        _Picture(
            picture_png(middle_slice(values, plane), cmap, 0.0, high),
            values.shape[across] * spacing[across] / (values.shape[up] * spacing[up]),
            f"{name}, {plane}" if values.ndim == 3 else name,
        )
        for plane, (across, up) in planes.items()
        if up < values.ndim
    ]


def _feature_cells(group: Group) -> Iterator[tuple[str, str, _Picture]]:
    def picture(array: torch.Tensor, name: str) -> _Picture:
        values = array.movedim(0, -1).numpy()  # the colours become the last axis
        values = values[:, :, group.level] if values.ndim == 4 else values
        width, height = (side * length for side, length in zip(values.shape[:2], group.spacing[:2], strict=True))
        return _Picture(picture_png(as_picture(values.squeeze())), width / height, name)

    yield "the scan", "", picture(group.slab, "the scan")
    for column in group.columns:
        note = f"{column.share:.0%} of the variance"
        yield column.restorer.name, note, picture(column.features, f"features of {column.restorer.name}")


def _tables(groups: Sequence[Group]) -> list[tuple[str, list[str], list[tuple[str, list[tuple[str, bool]]]]]]:
    """Title, heads and rows of a table for each metric; the best network of a group is marked if it improves the input."""
    dims = groups[0].clean.dim() - 2
    least = min(groups[0].clean.shape[2:])
    window = min(_SSIM_WINDOW, least - 1 + least % 2)
    ssim = SSIMMetric(dims, data_range=1.0, win_size=window)
    metrics: dict[str, tuple[Callable, str, Callable]] = {
        "Mean squared error (lower is better)": (MSEMetric(), "{:.4f}", min),
        "Structural similarity, SSIM (higher is better)": (ssim, "{:.3f}", max),
        "Peak signal-to-noise ratio in dB (higher is better)": (PSNRMetric(max_val=1.0), "{:.1f}", max),
    }
    heads: list[str] = []
    for number, group in enumerate(groups, start=1):
        names = ["deformed", *(column.restorer.name for column in group.columns)]
        heads += names if len(groups) == 1 else [f"{name} ({number})" for name in names]
    tables = []
    for title, (metric, form, best_of) in metrics.items():
        rows = []
        for kind in KINDS:
            shown: list[tuple[str, bool]] = []
            for group in groups:
                found = [group.deformed[kind], *(column.restored[kind] for column in group.columns)]
                values = [float(metric(cubes, group.clean).mean()) for cubes in found]
                best = best_of(values)  # the first value is that of the input
                shown += [(form.format(value).replace("inf", "∞"), value == best != values[0]) for value in values]
            rows.append((kind, shown))
        tables.append((title, heads, rows))
    return tables
