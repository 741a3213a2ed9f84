"""The table that the log has of each datalist."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.datalists.find_scans import Found
from models_genesis_bundle.data.datalists.layouts import DatasetRequest

__all__ = ["log_datalist"]

logger = logging.getLogger(__name__)

_EXAMPLES = 3
_LONGEST_EXAMPLE = 90


def log_datalist(
    request: DatasetRequest, datalist: Mapping[str, Sequence[Mapping[str, Any]]], told_by: str, found: Found
) -> None:
    """Write what a datalist holds, what its patients were recognised by, and what was left out of it; label maps as a warning.

    Args:
        request: the data set.
        datalist: the lists, of items with ``image`` and ``patient``.
        told_by: what the patients were recognised by.
        found: everything below the folder.
    """
    every = [item for items in datalist.values() for item in items]
    rows = [
        ("scans", f"{len({item['image'] for item in every})}"),
        ("patients", f"{len({item['patient'] for item in every})}, from {told_by}"),
        *(("", f"{_short(item['image'], request)} -> {item['patient']}") for item in _spread(every)),
        *((section, _counts(items)) for section, items in datalist.items() if len(datalist) > 1),
        *((reason, _some(paths, request)) for reason, paths in found.passed_over.items()),
    ]
    width = max(len(name) for name, _ in rows)
    logger.info("%s\n%s", request.root, "\n".join(f"  {name:<{width}}  {text}" for name, text in rows))
    used = {item["label"] for item in every if isinstance(item.get("label"), str)}
    left_out = [str(label) for label in found.labels if str(label) not in used]
    if left_out:
        logger.warning("%s: label maps, left out of the scans: %s", request.root, _some(left_out, request))


def _spread(items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return items[:: max(1, -(-len(items) // _EXAMPLES))]


def _counts(items: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(items)} scans of {len({item['patient'] for item in items})} patients"


def _some(paths: Sequence[str], request: DatasetRequest) -> str:
    return f"{len(paths)}, such as {', '.join(_short(path, request) for path in paths[:_EXAMPLES])}"


def _short(path: str, request: DatasetRequest) -> str:
    """A path below the data set's folder, its middle left out where it is long; bytes that are no text are shown as such."""
    text = os.fsencode(os.path.relpath(path, request.base)).decode("utf-8", "backslashreplace")
    half = _LONGEST_EXAMPLE // 2
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:half]} … {text[-half:]}"
