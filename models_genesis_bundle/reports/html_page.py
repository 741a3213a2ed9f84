"""Pages that hold their pictures: one HTML file that a browser shows without anything else."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.image import imsave
from models_genesis_bundle.files import whole_file

_NO_SOFTWARE: dict[str, Any] = {"Software": None}  # so that the same pixels give the same bytes


def figure_png(figure: Figure) -> str:
    """A figure as the text of a PNG that an HTML page can hold."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata=_NO_SOFTWARE)
    return _text(buffer)


def picture_png(picture: np.ndarray, cmap: str = "gray", low: float = 0.0, high: float = 1.0) -> str:
    """An array as the text of a PNG with a pixel for each value.

    ``picture`` is (rows, columns) of values, which ``cmap`` colours from ``low`` to ``high``, or (rows, columns, 3) of
    colours in 0 … 1.
    """
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture), cmap=cmap, vmin=low, vmax=high, format="png", metadata=_NO_SOFTWARE)
    return _text(buffer)


def _text(buffer: io.BytesIO) -> str:
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template of this package in, ``planning/report.html`` say, and write the page whole or not at all."""
    environment = Environment(
        loader=PackageLoader("models_genesis_bundle", ""), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    text = environment.get_template(template).render(**values)
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
