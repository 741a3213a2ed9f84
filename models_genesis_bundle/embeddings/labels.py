"""Labels of embedded cubes, out of a table."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from models_genesis_bundle.data.scans.files import scan_stem
from models_genesis_bundle.embeddings.embeddings_file import Embeddings, EmbeddingsError
from models_genesis_bundle.messages import first_of

__all__ = ["Labels", "read_labels"]

logger = logging.getLogger(__name__)

_POINT = ["coordX", "coordY", "coordZ"]
_LABELS = ("label", "class")
# Columns that name a cube; the first that a table has all columns of.
_KEYS = (["case"], ["image"], ["seriesuid", *_POINT], ["seriesuid"], ["patient"])


@dataclass(frozen=True)
class Labels:
    """The labels of the cubes that have one.

    Attributes:
        rows: (n,) the cubes' positions in the embeddings.
        values: (n,) the labels.
        covariate: (n,) a number that may explain the label; None where none was asked for.
        section: (n,) the list of each: training, validation, test; None where the table has none.
    """

    rows: np.ndarray
    values: np.ndarray
    covariate: np.ndarray | None = None
    section: np.ndarray | None = None


def read_labels(
    path: str | os.PathLike, embeddings: Embeddings, label: str | None = None, covariate: str | None = None
) -> Labels:
    """Find the label of each vector.

    A CSV names its rows by the first of these that it has: ``case`` (as in ``embeddings.csv``), ``image`` (a path, relative to
    the CSV or absolute), ``seriesuid,coordX,coordY,coordZ`` (a list of candidates), ``seriesuid`` (the name of the scan's file
    without its suffix), ``patient``. A JSON datalist names images, and its lists are the sections; in a CSV a column
    ``section`` names them.

    Args:
        path: the CSV or JSON.
        embeddings: the vectors.
        label: the column; None for ``label`` or ``class``, whichever exists.
        covariate: column of a number that may explain the label, such as ``diameter_mm``.

    Returns:
        The labels; cubes without one, or without the covariate, are left out and counted in the log.

    Raises:
        FileNotFoundError: the file does not exist.
        EmbeddingsError: a missing column, a row that is there twice, or no row for any cube.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of labels.")
    table = _read(path)
    label = label or next((name for name in _LABELS if name in table), _LABELS[0])
    needed = [label, *([covariate] if covariate else [])]
    if missing := [name for name in needed if name not in table]:
        raise EmbeddingsError(
            f"{path}: there is no column {', '.join(missing)}; its columns are {', '.join(map(str, table))}. Name the label's "
            "with --label and a covariate's with --covariate."
        )
    cubes = _names(embeddings)
    key = next((key for key in _KEYS if set(key) <= set(table) & set(cubes)), None)
    if key is None:
        raise EmbeddingsError(
            f"{path}: no column names its rows; expected one of {'; '.join(','.join(key) for key in _KEYS)}, found "
            f"{', '.join(map(str, table))}. Add such a column: embeddings.csv has the names."
        )
    names, cubes = table[key], cubes[key]
    if (twice := names.duplicated()).any():
        raise EmbeddingsError(
            f"{path}: {', '.join(map(str, names[twice].iloc[0]))} stands there more than once. Keep one row of each."
        )
    lines = cubes.merge(names.assign(_line=range(len(names))), how="left", on=key)["_line"]
    labelled = lines.isin(np.flatnonzero(table[needed].notna().all(axis=1)))
    if not labelled.any():
        row, cube = (tuple(frame.iloc[0]) if len(frame) else "(none)" for frame in (names, cubes))
        raise EmbeddingsError(
            f"{path}: none of its rows is of an embedded cube. By {','.join(key)}, rows are called {row!r}, cubes {cube!r}."
        )
    if not labelled.all():
        without = [str(case) for case in embeddings.case[~labelled]]
        logger.warning(
            "%s: %d of %d cubes have no label there: %s", path, len(without), len(cubes), first_of(without, 3)
        )
    chosen = table.iloc[lines[labelled].astype(int)]
    return Labels(
        rows=np.flatnonzero(labelled),
        values=chosen[label].to_numpy(),
        covariate=chosen[covariate].to_numpy(dtype=float) if covariate else None,
        section=chosen["section"].to_numpy(dtype=str) if "section" in chosen else None,
    )


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".json":
        sections = read_json_datalist(path, path.parent)
        table = pd.DataFrame([{**item, "section": name} for name in SECTIONS for item in sections.get(name, [])])
    else:
        try:
            table = pd.read_csv(path, dtype={"case": str, "image": str, "seriesuid": str, "patient": str})
        except ValueError as error:  # pandas' parsing errors are of this kind
            raise EmbeddingsError(f"{path}: it is no CSV ({error}).") from error
    if "image" in table:
        table["image"] = [os.path.abspath(path.parent / str(image)) for image in table["image"]]
    for axis in set(_POINT) & set(table):
        table[axis] = table[axis].astype(float).round(3)
    return table


def _names(embeddings: Embeddings) -> pd.DataFrame:
    """All columns that can name a cube."""
    points = {name: embeddings.point[:, axis].round(3) for axis, name in enumerate(_POINT[: embeddings.point.shape[1]])}
    return pd.DataFrame(
        {
            "case": embeddings.case,
            "image": embeddings.image,
            "seriesuid": [scan_stem(image) for image in embeddings.image.tolist()],
            "patient": embeddings.patient,
            **points,
        }
    )
