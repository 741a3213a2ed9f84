"""The last steps of every datalist: its split, the checks, and a table in the log."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.checks import check_listed_once, check_patients_disjoint
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS
from models_genesis_bundle.data.datalists.layouts import Dataset, DatasetRequest, Sections
from models_genesis_bundle.data.datalists.splits import SplitRequest, split_by_file, split_sections
from monai.config import PathLike

__all__ = ["checked_split", "log_datalist"]

logger = logging.getLogger(__name__)

_EXAMPLES = 3
_LONGEST_EXAMPLE = 90


def checked_split(
    request: DatasetRequest, dataset: Dataset, split: SplitRequest, split_file: PathLike | None = None
) -> Sections:
    """Split a dataset by a file, or else as it names itself, and refuse a scan that is listed twice or a patient in two lists."""
    if split_file is None:
        sections = split_sections(dataset.sections, split, request.root)
    else:
        items = [item for section in SECTIONS for item in dataset.sections.get(section, [])]
        sections = split_by_file(items, Path(split_file), request.base)
    check_listed_once(item for items in sections.values() for item in items)
    check_patients_disjoint(sections)
    log_datalist(request, dataset, sections)
    return sections


def log_datalist(
    request: DatasetRequest, dataset: Dataset, datalist: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Log what a datalist holds, how its patients were found, and what it leaves out; label maps as a warning."""
    every = [item for items in datalist.values() for item in items]
    examples = every[:: max(1, -(-len(every) // _EXAMPLES))]
    rows = [
        ("scans", f"{len({item['image'] for item in every})}"),
        ("patients", f"{_patients(every)}, from {dataset.patients_from}"),
        *(("", f"{_short(item['image'], request)} -> {item['patient']}") for item in examples),
        *(
            (section, f"{len(items)} scans of {_patients(items)} patients")
            for section, items in datalist.items()
            if len(datalist) > 1
        ),
        *((reason, _some(paths, request)) for reason, paths in dataset.found.passed_over.items()),
    ]
    width = max(len(name) for name, _ in rows)
    logger.info("%s\n%s", request.root, "\n".join(f"  {name:<{width}}  {text}" for name, text in rows))
    used = {item["label"] for item in every if isinstance(item.get("label"), str)}
    left_out = [str(label) for label in dataset.found.labels if str(label) not in used]
    if left_out:
        logger.warning("%s: label maps, left out of the scans: %s", request.root, _some(left_out, request))


def _patients(items: Sequence[Mapping[str, Any]]) -> int:
    return len({item["patient"] for item in items})


def _some(paths: Sequence[str], request: DatasetRequest) -> str:
    return f"{len(paths)}, such as {', '.join(_short(path, request) for path in paths[:_EXAMPLES])}"


def _short(path: str, request: DatasetRequest) -> str:
    """A path relative to the dataset's folder, without its middle if it is long; bytes that are not text are escaped."""
    text = os.fsencode(os.path.relpath(path, request.base)).decode("utf-8", "backslashreplace")
    half = _LONGEST_EXAMPLE // 2
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:half]} … {text[-half:]}"
