"""Whether the cube store in a folder is the one that is wanted; where not, it is made, by one process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.volumes.cube_extraction import extract_cubes
from models_genesis_bundle.data.volumes.cube_index import FORMAT_VERSION, read_index, source_entry
from models_genesis_bundle.data.volumes.cube_places import CubePlaces

__all__ = ["make_if_unfit"]

logger = logging.getLogger(__name__)

_LOCK_NAME = ".lock"
_DTYPES = ("float16", "float32")


def make_if_unfit(
    directory: Path,
    scans: Sequence[Mapping[str, Any]],
    places: Sequence[CubePlaces],
    preprocessing: ScanPreprocessing,
    records: Mapping[str, Any],
    num_workers: int,
    on_unreadable: str,
) -> None:
    """Fill a store's folder unless it holds the cubes of these scans, unchanged, by these settings.

    A second process that wants the same folder waits for the first.

    Args:
        directory: the store's folder; created where missing.
        scans: for each its ``image`` and ``patient``.
        places: for each scan, where its cubes lie.
        preprocessing: steps from the file to the scaled scan.
        records: the other settings; needs ``seed`` and ``dtype``.
        num_workers: processes that extract; 0 works in this one.
        on_unreadable: ``"skip"`` or ``"raise"``.

    Raises:
        ValueError: an argument out of range.
        ScanError, ValueError, OSError, RuntimeError: see `extract_cubes`.
    """
    if not scans:
        raise ValueError("CubeStore: the list of scans is empty.")
    if on_unreadable not in ("skip", "raise"):
        raise ValueError(f"CubeStore: on_unreadable must be 'skip' or 'raise', got {on_unreadable!r}.")
    if records["dtype"] not in _DTYPES:
        raise ValueError(f"CubeStore: dtype must be one of {', '.join(_DTYPES)}, got {records['dtype']!r}.")
    if num_workers < 0:
        raise ValueError(f"CubeStore: num_workers must be 0 or more, got {num_workers}.")
    size = tuple(places[0].cube_size)
    if len(size) != preprocessing.spatial_dims:
        raise ValueError(f"CubeStore: cube_size {size} does not fit spatial_dims={preprocessing.spatial_dims}.")
    records = {"format_version": FORMAT_VERSION, "preprocessing": preprocessing.record(), **records}
    settings = json.loads(json.dumps(records))
    sources = [source_entry(scan) for scan in scans]
    if not _fits(directory, settings, sources):
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory):
            if not _fits(directory, settings, sources):
                extract_cubes(directory, places, preprocessing, settings, sources, num_workers, on_unreadable)


def _fits(directory: Path, settings: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> bool:
    try:
        index = read_index(directory)
    except FileNotFoundError:
        return False
    except ValueError as error:
        logger.warning("%s It is made anew.", error)
        return False
    if index["settings"] != settings:
        logger.info("%s: the settings have changed, the cubes are extracted anew.", directory)
        return False
    found = index["sources"]
    if len(found) != len(wanted) or any(
        source.get(name) != value for source, want in zip(found, wanted, strict=True) for name, value in want.items()
    ):
        logger.info("%s: the scans have changed, the cubes are extracted anew.", directory)
        return False
    return True


def _locked(directory: Path) -> AcquireReturnProxy:
    lock = FileLock(directory / _LOCK_NAME)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        logger.info("%s: another process extracts these cubes; waiting for it.", directory)
        return lock.acquire()
