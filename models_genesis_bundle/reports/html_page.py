"""HTML pages as single files that contain their pictures."""

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
    """A figure as PNG in base64, for an HTML page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata=_NO_SOFTWARE)
    return _text(buffer)


def picture_png(picture: np.ndarray, cmap: str = "gray", low: float = 0.0, high: float = 1.0) -> str:
    """An array as PNG in base64 with a pixel for each value.

    ``picture`` is (rows, columns) of values, which ``cmap`` colours from ``low`` to ``high``, or of colours (rows, columns, 3).
    """
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture), cmap=cmap, vmin=low, vmax=high, format="png", metadata=_NO_SOFTWARE)
    return _text(buffer)


def _text(buffer: io.BytesIO) -> str:
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill in a template of this package, such as ``planning/report.html``, and write the page atomically."""
    environment = Environment(
        loader=PackageLoader("models_genesis_bundle", ""), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    text = environment.get_template(template).render(**values)
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
