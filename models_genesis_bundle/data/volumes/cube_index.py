"""The index of a cube store: what it was made from, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.scans.files import scan_state

__all__ = ["FORMAT_VERSION", "INDEX_NAME", "read_index", "source_entry"]

FORMAT_VERSION = 1
INDEX_NAME = "index.json"


def source_entry(scan: Mapping[str, Any]) -> dict[str, Any]:
    """What the index keeps of a scan, so that a change of the file or of its points is noticed."""
    source = {"image": os.path.abspath(scan["image"]), "patient": str(scan["patient"])}
    source |= dict(zip(("size", "mtime_ns"), scan_state(source["image"]), strict=True))
    if "points" in scan:
        points = json.dumps(scan["points"] and [[float(value) for value in point] for point in scan["points"]])
        source["points"] = hashlib.sha256(points.encode()).hexdigest()
    return source


def read_index(directory: Path) -> dict[str, Any]:
    """Read and check the index in a store's folder.

    Raises:
        FileNotFoundError: no index there.
        ValueError: an index that is damaged or of another version, or cubes that are not as it says.
    """
    file = directory / INDEX_NAME
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        version = index["settings"]["format_version"]
        cubes_file = directory / index["cubes_file"]
        wanted = index["cubes_bytes"]
        if missing := {"shape", "sources", "cubes"} - set(index):
            raise ValueError(f"without {', '.join(sorted(missing))}")
    except FileNotFoundError:
        raise FileNotFoundError(f"{directory}: there is no cube store in this folder.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: the index of this cube store is damaged ({error}).") from error
    if version != FORMAT_VERSION:
        raise ValueError(f"{directory}: a cube store of version {version}, this is for {FORMAT_VERSION}.")
    size = cubes_file.stat().st_size if cubes_file.exists() else 0
    if size != wanted:
        raise ValueError(f"{cubes_file}: damaged, {size} bytes where the index says {wanted}.")
    return index
