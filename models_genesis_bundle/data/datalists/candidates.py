"""Candidate points in scans, from a CSV with the columns of LUNA16's ``candidates_V2.csv``."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, case_path, scan_files, scan_stem
from models_genesis_bundle.files import read_unicode
from monai.config import PathLike

logger = logging.getLogger(__name__)

_COORDINATES = ("coordX", "coordY", "coordZ")
_OPTIONAL = ("lesion", "diameter_mm")


def read_candidates(path: PathLike, labelled: bool = True) -> list[dict[str, Any]]:
    """Read the candidates of a CSV with the columns ``seriesuid,coordX,coordY,coordZ,class``.

    The separator is a comma, or a semicolon or tab, as in files from Excel, which may also have decimal commas. The names of
    columns may be in upper or lower case. Two columns are optional: ``lesion`` is the name of the lesion that a candidate hits,
    so that a lesion with several candidates counts once in the FROC; ``diameter_mm`` is its size. Other columns are ignored.

    Args:
        path: the CSV.
        labelled: whether to read ``class``.

    Returns:
        In the order of the file: ``scan``, ``point`` (x, y, z) in millimetres, ``label`` (a whole number or the name of a class)
        if labelled, and, if the columns exist, ``lesion`` (text) and ``diameter_mm`` (NaN if empty).

    Raises:
        FileNotFoundError: the CSV does not exist.
        DatalistError: a column is missing or repeated, a cell is not a number or has no column, or there are no candidates.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this CSV file of candidates does not exist. Check candidates_file.")
    text = read_unicode(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    needed = ("seriesuid", *_COORDINATES, *(("class",) if labelled else ()))
    try:
        reader.fieldnames = columns = _columns(reader.fieldnames or (), (*needed, *_OPTIONAL), path)
        missing = [column for column in needed if column not in columns]
        if missing:
            raise DatalistError(
                path,
                f"the column {', '.join(missing)} is missing; expected {','.join(needed)}, found "
                f"{','.join(columns) or 'no header'}.",
                "Add it, and separate the columns with commas.",
            )
        candidates = [
            _candidate(row, f"{path}, line {reader.line_num}", labelled, "." if separator == "," else ",")
            for row in reader
            if any(row.values())
        ]
    except csv.Error as error:
        raise DatalistError(
            f"{path}, line {reader.line_num}", f"it is not a CSV file ({error}).", "Correct it."
        ) from error
    if not candidates:
        raise DatalistError(path, "it contains no candidates.", "Write one line for each candidate.")
    return candidates


def _columns(header: Sequence[str], known: Sequence[str], path: Path) -> list[str]:
    known_by_lower = {name.lower(): name for name in known}
    columns = [known_by_lower.get(name.strip().lower(), name.strip()) for name in header]
    twice = [name for name in known if columns.count(name) > 1]
    if twice:
        raise DatalistError(
            path, f"the column {twice[0]} appears {columns.count(twice[0])} times.", "Keep one of them."
        )
    return columns


def _candidate(row: Mapping[Any, Any], place: str, labelled: bool, decimal: str) -> dict[str, Any]:
    if any(cell.strip() for cell in row.get(None, ())):
        found = f"it has more cells than the header has columns, the first is {row[None][0]!r}."
        raise DatalistError(place, found, "Correct the line; numbers have a point, not a comma.")
    try:
        point = tuple(float(row[column].replace(decimal, ".")) for column in _COORDINATES)
        candidate: dict[str, Any] = {"scan": scan_stem(row["seriesuid"].strip()), "point": point}
        if labelled:
            candidate["label"] = number_or_name(row["class"].strip())
        if "diameter_mm" in row:
            candidate["diameter_mm"] = float((row["diameter_mm"] or "nan").replace(decimal, "."))
    except (AttributeError, TypeError, ValueError) as error:
        raise DatalistError(
            place, f"expected numbers in the columns of the layout ({error}).", "Correct the line."
        ) from error
    label = candidate.get("label", 0)
    if not all(math.isfinite(value) for value in point) or label == "" or (isinstance(label, int) and label < 0):
        found = f"coordinates must be finite and classes 0 or more, found {dict(row)}."
        raise DatalistError(place, found, "Correct the line.")
    if "lesion" in row:
        candidate["lesion"] = (row["lesion"] or "").strip()
    return candidate


def number_or_name(value: Any) -> Any:
    """A class as a whole number, also from ``1.0``; any other value, such as the name of a class, does not change."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else value


def join_candidates(
    candidates: Iterable[Mapping[str, Any]], scans: Sequence[Mapping[str, Any]], source: PathLike
) -> list[dict[str, Any]]:
    """Add ``image`` and ``patient`` to each candidate, from the scan whose file name is its ``seriesuid``.

    The candidates get the order of `scans`. Candidates of other scans are skipped. Errors name `source`, the CSV.
    """
    names = [scan_stem(case_path(scan_files(scan))) for scan in scans]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        files = ", ".join(scan["image"] for scan, name in zip(scans, names, strict=True) if name == twice[0])
        raise DatalistError(source, f"its scan name {twice[0]} matches several scans: {files}.", "Keep one of them.")
    by_scan: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for candidate in candidates:
        by_scan[candidate["scan"]].append(candidate)
    joined = [
        {**{key: scan[key] for key in ("image", "patient", CHANNEL_FILES) if key in scan}, **candidate}
        for scan, name in zip(scans, names, strict=True)
        for candidate in by_scan.get(name, [])
    ]
    others, empty = by_scan.keys() - set(names), len(set(names) - by_scan.keys())
    if not joined:
        found = f"none of the {len(others)} scans that it names was found."
        named = ", ".join(names[:3])
        remedy = (
            f"The file name of a scan must be its seriesuid, for example {min(others)}.mhd. The dataset has {named}, …."
        )
        raise DatalistError(source, found, remedy)
    if others or empty:
        message = "%s: %d of the scans that it names were not found, and %d scans of the dataset have no candidate"
        logger.warning(message, source, len(others), empty)
    return joined


def limit_negatives(items: Sequence[Mapping[str, Any]], max_per_scan: int | None, seed: int = 0) -> list[Any]:
    """Keep at most `max_per_scan` random candidates of class 0 of each scan, and all candidates of other classes.

    LUNA16 has 750 000 candidates, and one in 480 is a nodule. All their cubes of 64×64×32 voxels need 200 GB; with 100
    negatives for each scan, they need 23 GB.

    Args:
        items: candidates with ``scan`` and ``label``.
        max_per_scan: largest number of negatives of a scan, 1 or more; None keeps all.
        seed: random seed; the choice for a scan also depends on its name, but not on other scans.
    """
    if max_per_scan is None:
        return list(items)
    if max_per_scan < 1:
        remedy = "Correct it."
        raise DatalistError(
            "max_negatives_per_scan", f"expected 1 or more, or null for all candidates, found {max_per_scan}.", remedy
        )
    if not all("scan" in item for item in items):
        found = f"it is {max_per_scan}, but the items are images, not candidates in scans."
        raise DatalistError("max_negatives_per_scan", found, "Leave it null, or set candidates_file.")
    negatives: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        if item["label"] == 0:
            negatives[item["scan"]].append(number)
    left_out: set[int] = set()
    for scan, numbers in negatives.items():
        digest = hashlib.sha256(os.fsencode(f"{seed}|{scan}")).digest()
        order = np.random.default_rng(int.from_bytes(digest[:16], "big")).permutation(len(numbers))
        left_out.update(numbers[place] for place in order[max_per_scan:])
    return [item for number, item in enumerate(items) if number not in left_out]
