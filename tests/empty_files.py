"""Folders of empty files, and lists of them, for tests that look at names alone."""

from __future__ import annotations

import json
from pathlib import Path

LISTS = ("training", "validation", "test")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write_json(path: Path, **sections) -> Path:
    path.write_text(json.dumps(sections))
    return path


def names(items, root: Path, key: str = "image") -> list[str]:
    """The paths below the root."""
    return [item[key].removeprefix(f"{root}/") for item in items]


def patients(items) -> list[str]:
    """Each patient once."""
    return sorted({item["patient"] for item in items})


def sizes(datalist) -> list[int]:
    return [len(datalist[section]) for section in LISTS]
