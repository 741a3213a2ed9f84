"""Files of vectors with the names and places of their cubes, and the labels of the cubes from a table."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from models_genesis_bundle.data.scans.files import scan_stem
from models_genesis_bundle.embeddings.cube_vectors import STATISTICS
from models_genesis_bundle.files import whole_file
from models_genesis_bundle.messages import first_of

logger = logging.getLogger(__name__)

_ARRAYS = ("vectors", "statistics", "case", "image", "patient", "point", "voxel")
_POINT = ["coordX", "coordY", "coordZ"]
# Columns that identify a cube; the first group that a table has completely is used.
_KEYS = (["case"], ["image"], ["seriesuid", *_POINT], ["seriesuid"], ["patient"])


class EmbeddingsError(ValueError):
    """Embeddings or labels cannot be used; the message says which file or setting, what is wrong and what to do."""


@dataclass(frozen=True)
class Embeddings:
    """The vectors of n cubes or scans, each with D numbers."""

    vectors: np.ndarray  # (n, D) float32
    statistics: np.ndarray  # (n, 9) of the same cubes' intensities, see STATISTICS
    case: np.ndarray  # (n,) names: of the scan, and the point in millimetres if it has several
    image: np.ndarray  # (n,) paths of the scans
    patient: np.ndarray  # (n,) names
    point: np.ndarray  # (n, axes) the centre of each cube in LPS millimetres, as in LUNA16
    voxel: np.ndarray  # (n, axes) the same in voxels of the file
    perturbed: Mapping[str, np.ndarray] = field(default_factory=dict)  # vectors_<kind> and statistics_<kind>
    record: Mapping[str, Any] = field(default_factory=dict)  # plain values: weights, stage, pooling, preprocessing

    def __len__(self) -> int:
        return len(self.case)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> Embeddings:
        """The embeddings with these ``arrays`` (see the property) and record."""
        perturbed = {name: array for name, array in arrays.items() if name not in _ARRAYS}
        return cls(**{name: arrays[name] for name in _ARRAYS}, perturbed=perturbed, record=record)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name; each has a row for each vector."""
        return {name: getattr(self, name) for name in _ARRAYS} | dict(self.perturbed)

    @property
    def kinds(self) -> list[str]:
        """The kinds of perturbation."""
        return [name.removeprefix("vectors_") for name in self.perturbed if name.startswith("vectors_")]

    def index(self) -> pd.DataFrame:
        """A row for each vector: case, image, patient, the position in millimetres and voxels, the statistics."""
        columns = {"case": self.case, "image": self.image, "patient": self.patient}
        for start, positions in (("coord", self.point), ("voxel", self.voxel)):
            columns |= {f"{start}{axis}": values for axis, values in zip("XYZ", positions.T, strict=False)}
        return pd.DataFrame(columns | dict(zip(STATISTICS, self.statistics.T, strict=True)))

    def table(self) -> pd.DataFrame:
        """The index and the vectors, in columns ``0`` … ``D - 1``: ready for ``to_parquet``."""
        return pd.concat([self.index(), pd.DataFrame(self.vectors).rename(columns=str)], axis=1)

    def write(self, path: str | os.PathLike, index: bool = True) -> Path:
        """Write an ``.npz`` that NumPy reads without pickle, and the index as CSV next to it, both atomically."""
        content: dict[str, Any] = {**self.arrays, "record": np.array(json.dumps(self.record))}
        with whole_file(path) as unfinished:
            np.savez_compressed(unfinished, **content)
        if index:
            with whole_file(Path(path).with_suffix(".csv")) as unfinished:
                self.index().to_csv(unfinished, index=False, float_format="%.8g")
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Embeddings:
        """Read a file of ``write``; an ``EmbeddingsError`` if it is missing or another file."""
        try:
            with np.load(path) as file:
                content = dict(file)
            found = cls.of(content, json.loads(str(content.pop("record"))))
        except Exception as error:  # NumPy and zipfile raise almost any error for a damaged file
            raise EmbeddingsError(
                f"{path}: not a file of embeddings ({type(error).__name__}: {error}). Give the embeddings.npz of a run of "
                "configs/embed.yaml."
            ) from error
        if spoilt := found.case[~np.isfinite(found.vectors).all(axis=1)].tolist():
            raise EmbeddingsError(
                f"{path}: {len(spoilt)} vectors hold NaN or infinite values, first {spoilt[0]}. Check this scan and the "
                "weights, and embed again."
            )
        return found


def read_labels(
    path: str | os.PathLike, embeddings: Embeddings, label: str | None = None, covariate: str | None = None
) -> pd.DataFrame:
    """Find the label of each vector in a CSV or JSON datalist.

    The first of these columns that a CSV has identifies its rows: ``case`` (as in ``embeddings.csv``), ``image`` (a path,
    relative to the CSV or absolute), ``seriesuid,coordX,coordY,coordZ`` (a list of candidates), ``seriesuid`` (the name of the
    scan's file without its suffix), ``patient``. A CSV may have a column ``section``; in a JSON datalist the lists are the
    sections. ``label`` is the column of the label; None: ``label`` or ``class``. ``covariate`` is a column of
    numbers that may explain the label, such as ``diameter_mm``.

    Returns:
        The columns ``label``, ``covariate`` if one is named, and ``section`` if the table has it; the index is the position of
        the cubes in the embeddings. Cubes without a label or covariate are skipped, and the log counts them.

    Raises:
        FileNotFoundError: the file does not exist.
        EmbeddingsError: a missing column, a row that occurs twice, or no row for any cube.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this file of labels does not exist.")
    table = _read(path)
    label = label or ("class" if "class" in table and "label" not in table else "label")
    wanted = {"label": label, **({"covariate": covariate} if covariate else {})}
    if missing := [name for name in wanted.values() if name not in table]:
        raise EmbeddingsError(
            f"{path}: there is no column {', '.join(missing)}; its columns are {', '.join(map(str, table))}. Give the column "
            "of the label with --label, and the column of a covariate with --covariate."
        )
    cubes = embeddings.index().assign(seriesuid=[scan_stem(image) for image in embeddings.image.tolist()])
    cubes = cubes.round(dict.fromkeys(_POINT, 3))
    key = next((key for key in _KEYS if set(key) <= set(table) & set(cubes)), None)
    if key is None:
        raise EmbeddingsError(
            f"{path}: no column identifies its rows; expected one of {'; '.join(','.join(key) for key in _KEYS)}, found "
            f"{', '.join(map(str, table))}. Add such a column with the names in embeddings.csv."
        )
    names, cubes = table[key], cubes[key]
    if (twice := names.duplicated()).any():
        raise EmbeddingsError(
            f"{path}: {', '.join(map(str, names[twice].iloc[0]))} occurs in more than one row. Keep one of these rows."
        )
    columns = {"label": table[label], **({"covariate": _numbers(path, table, covariate)} if covariate else {})}
    known = names.assign(**columns).dropna(subset=list(columns))
    if "section" in table:
        known["section"] = table["section"].astype(str)
    found = cubes.reset_index(names="cube").merge(known, on=key).set_index("cube").drop(columns=key)
    if found.empty:
        row, cube = (tuple(frame.iloc[0]) if len(frame) else "(none)" for frame in (names, cubes))
        raise EmbeddingsError(
            f"{path}: none of its rows matches an embedded cube. Compared by {','.join(key)}: a row has {row!r}, a cube {cube!r}."
        )
    if without := np.delete(embeddings.case, found.index).tolist():
        logger.warning("%s has no label for %d of %d cubes: %s", path, len(without), len(cubes), first_of(without, 3))
    return found


def _read(path: Path) -> pd.DataFrame:
    folder = path.absolute().parent
    if path.suffix == ".json":
        sections = read_json_datalist(path, folder)
        table = pd.DataFrame([{**item, "section": name} for name in SECTIONS for item in sections.get(name, [])])
    else:
        try:
            table = pd.read_csv(path, dtype={"case": str, "image": str, "seriesuid": str, "patient": str})
        except ValueError as error:  # also pandas' parsing errors
            raise EmbeddingsError(f"{path}: it is not a CSV file ({error}).") from error
        if len(table.columns) == 1:
            raise EmbeddingsError(
                f"{path}: expected columns with commas between them, found the one column {table.columns[0]!r}."
            )
    if "image" in table:
        table["image"] = [os.path.abspath(folder / str(image)) for image in table["image"]]
    for axis in set(_POINT) & set(table):
        table[axis] = _numbers(path, table, axis).round(3)
    return table


def _numbers(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    try:
        return pd.to_numeric(table[column]).astype(float)
    except (TypeError, ValueError) as error:
        raise EmbeddingsError(f"{path}: expected numbers in the column {column} ({error}).") from error
