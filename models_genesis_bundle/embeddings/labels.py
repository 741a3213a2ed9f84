"""Labels of embedded cubes, out of a table."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from models_genesis_bundle.data.scans.files import scan_stem
from models_genesis_bundle.embeddings.embeddings_file import Embeddings, EmbeddingsError
from models_genesis_bundle.messages import first_of

__all__ = ["read_labels"]

logger = logging.getLogger(__name__)

_POINT = ["coordX", "coordY", "coordZ"]
# Columns that name a cube; the first that a table has all columns of.
_KEYS = (["case"], ["image"], ["seriesuid", *_POINT], ["seriesuid"], ["patient"])


def read_labels(
    path: str | os.PathLike, embeddings: Embeddings, label: str | None = None, covariate: str | None = None
) -> pd.DataFrame:
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
        The columns ``label``, ``covariate`` if one is named, and ``section`` if the table has it; the index holds the cubes'
        positions in the embeddings. Cubes without a label, or without the covariate, are left out and counted in the log.

    Raises:
        FileNotFoundError: the file does not exist.
        EmbeddingsError: a missing column, a row that is there twice, or no row for any cube.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of labels.")
    table = _read(path)
    label = label or ("class" if "class" in table and "label" not in table else "label")
    wanted = {"label": label, **({"covariate": covariate} if covariate else {})}
    if missing := [name for name in wanted.values() if name not in table]:
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
    columns = {name: table[column] for name, column in wanted.items()}
    known = names.assign(**columns).dropna(subset=list(columns))
    if "section" in table:
        known["section"] = table["section"].astype(str)
    found = cubes.reset_index(names="cube").merge(known, on=key).set_index("cube").drop(columns=key)
    if found.empty:
        row, cube = (tuple(frame.iloc[0]) if len(frame) else "(none)" for frame in (names, cubes))
        raise EmbeddingsError(
            f"{path}: none of its rows is of an embedded cube. By {','.join(key)}, rows are called {row!r}, cubes {cube!r}."
        )
    if without := np.delete(embeddings.case, found.index).tolist():
        logger.warning(
            "%s: %d of %d cubes have no label there: %s", path, len(without), len(cubes), first_of(without, 3)
        )
    return found.astype({"covariate": float}) if covariate else found


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
