"""Labels of embedded cubes, out of a table."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Sequence
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

_POINT = ("coordX", "coordY", "coordZ")
_LABELS = ("label", "class")
# By what rows and cubes find each other; the first that a table has all columns of.
_KEYS = (("case",), ("image",), ("seriesuid", *_POINT), ("seriesuid",), ("patient",))


@dataclass(frozen=True)
class Labels:
    """The labels of those cubes that have one.

    Attributes:
        rows: (n,) the cubes' positions in the embeddings.
        values: (n,) what is to be predicted from the vectors.
        covariate: (n,) a number that may explain the label; None where none was asked for.
        section: (n,) the list that each is in: training, validation, test; None where the table does not say.
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
    without its ending), ``patient``. A JSON datalist names images, and its lists become the sections; in a CSV a column
    ``section`` does.

    Args:
        path: the CSV or JSON.
        embeddings: whose vectors they are for.
        label: the column; None for ``label`` or ``class``, whichever is there.
        covariate: column of a number that may explain the label, such as ``diameter_mm``.

    Returns:
        The labels; cubes without one, or without the covariate, are left out and counted in the log.

    Raises:
        FileNotFoundError: there is no such file.
        EmbeddingsError: a column that is not there, a row that is there twice, or no row for any cube.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of labels.")
    table = _read(path)
    label = label or next((name for name in _LABELS if name in table), _LABELS[0])
    if missing := [name for name in (label, covariate) if name is not None and name not in table]:
        raise EmbeddingsError(
            f"{path}: there is no column {', '.join(missing)}; its columns are {', '.join(map(str, table))}. Name the label's "
            "with --label and a covariate's with --covariate."
        )
    key = next((key for key in _KEYS if set(key) <= set(table)), None)
    if key is None:
        raise EmbeddingsError(
            f"{path}: nothing says what its rows are of; expected one of {'; '.join(','.join(key) for key in _KEYS)}, found "
            f"{', '.join(map(str, table))}. Add such a column: embeddings.csv has the names."
        )
    found = _named_rows(table, key, path)
    wanted = _names(embeddings, key)
    kept, lines = [], []
    for number, name in enumerate(wanted):
        line = found.get(name)
        values = None if line is None else table.loc[line, [label, *([covariate] if covariate else [])]]
        if values is not None and not values.isna().any():
            kept.append(number)
            lines.append(line)
    if not kept:
        raise EmbeddingsError(
            f"{path}: none of its rows is of an embedded cube. By {','.join(key)}, rows are called "
            f"{next(iter(found), '(none)')!r}, cubes {wanted[0] if wanted else '(none)'!r}."
        )
    if len(kept) < len(wanted):
        known = set(kept)
        names = [str(case) for number, case in enumerate(embeddings.case) if number not in known]
        logger.warning("%s: %d of %d cubes have no label there: %s", path, len(names), len(wanted), first_of(names, 3))
    chosen = table.loc[lines]
    return Labels(
        rows=np.array(kept),
        values=chosen[label].to_numpy(),
        covariate=chosen[covariate].to_numpy(dtype=float) if covariate else None,
        section=chosen["section"].to_numpy(dtype=str) if "section" in chosen else None,
    )


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".json":
        sections = read_json_datalist(path, path.parent)
        return pd.DataFrame([{**item, "section": name} for name in SECTIONS for item in sections.get(name, [])])
    try:
        table = pd.read_csv(path, dtype={"case": str, "image": str, "seriesuid": str, "patient": str})
    except ValueError as error:  # pandas' parsing errors are of this kind
        raise EmbeddingsError(f"{path}: it is no CSV ({error}).") from error
    if "image" in table:
        table["image"] = [os.path.abspath(path.parent / str(image)) for image in table["image"]]
    return table


def _named_rows(table: pd.DataFrame, key: Sequence[str], path: Path) -> dict[tuple[Hashable, ...], int]:
    columns = [table[name] if name not in _POINT else table[name].astype(float).round(3) for name in key]
    if key == ("image",):
        columns = [columns[0].map(os.path.abspath)]
    names = list(zip(*columns, strict=True))
    found: dict[tuple[Hashable, ...], int] = {name: line for line, name in enumerate(names)}
    if len(found) < len(names):
        twice = next(name for line, name in enumerate(names) if found[name] != line)
        raise EmbeddingsError(
            f"{path}: {', '.join(map(str, twice))} stands there more than once. Keep one row of each."
        )
    return found


def _names(embeddings: Embeddings, key: Sequence[str]) -> list[tuple[Hashable, ...]]:
    """What each cube is called by a key."""
    columns: list[Sequence[Hashable]] = []
    for name in key:
        if name in _POINT:
            columns.append((embeddings.point[:, _POINT.index(name)].round(3) + 0.0).tolist())
        elif name == "seriesuid":
            columns.append([scan_stem(image) for image in embeddings.image.tolist()])
        else:
            columns.append(getattr(embeddings, name).tolist())
    return list(zip(*columns, strict=True))
