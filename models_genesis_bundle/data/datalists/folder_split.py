"""A split that the folders of a dataset name, such as ``imagesTr`` and ``imagesTs``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["split_by_folder"]

_SECTION_FOLDERS = {
    "training": re.compile(r"(images?[_-]?)?(tr|train(ing)?)", re.IGNORECASE),
    "validation": re.compile(r"(images?[_-]?)?(val|valid(ation)?)", re.IGNORECASE),
    "test": re.compile(r"(images?[_-]?)?(ts|test(ing)?)", re.IGNORECASE),
}

Item = TypeVar("Item", bound=Mapping[str, Any])


def split_by_folder(items: Sequence[Item], root: Path) -> dict[str, list[Item]]:
    """Put items into the lists that their folders name.

    Folders called ``train``, ``val`` or ``test``, in these and usual longer and shorter forms, with or without ``images``
    before, name a split where items lie in at least two of them; the innermost such folder counts.

    Args:
        items: anything with the path of an ``image`` below `root`.
        root: folder of the dataset.

    Returns:
        ``training``, ``validation`` and ``test``; without a split, all items are in ``training``.

    Raises:
        ValueError: an item that lies in no such folder while others name a split.
    """
    named = [_section_of(Path(item["image"]).relative_to(root)) for item in items]
    if len({section for section in named if section}) < 2:
        return {"training": list(items), "validation": [], "test": []}
    if None in named:
        raise ValueError(
            f"{root}: folders put other cases into training, validation or test, but not "
            f"{items[named.index(None)]['image']}. Move it, or name the split in a split_file."
        )
    return {
        section: [item for item, name in zip(items, named, strict=True) if name == section]
        for section in _SECTION_FOLDERS
    }


def _section_of(path: Path) -> str | None:
    for folder in reversed(path.parts[:-1]):
        for section, pattern in _SECTION_FOLDERS.items():
            if pattern.fullmatch(folder):
                return section
    return None
