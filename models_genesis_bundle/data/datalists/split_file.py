"""A split that the user names, over items that were found."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from models_genesis_bundle.data.datalists.json_datalist import read_json_datalist

__all__ = ["split_by_file"]

logger = logging.getLogger(__name__)

Item = TypeVar("Item", bound=Mapping[str, Any])


def split_by_file(items: Sequence[Item], split_file: Path, base: Path) -> dict[str, list[Item]]:
    """Put items into the lists that a JSON names.

    Args:
        items: anything with the path of an ``image``.
        split_file: JSON with the lists ``training`` and ``validation`` (``test`` if wanted) of paths of images.
        base: folder that the paths count from; where they are not there, they count from the JSON's folder.

    Returns:
        ``training``, ``validation`` and ``test``. Items that the JSON does not name are left out, and counted in the log.

    Raises:
        FileNotFoundError: no such JSON, or a listed file is not there.
        ValueError: a JSON that cannot be understood, or a listed file that is none of the items.
    """
    listed = read_json_datalist(split_file, base, required=("training", "validation"))
    item_of = {os.path.realpath(item["image"]): item for item in items}
    sections: dict[str, list[Item]] = {}
    for section, entries in listed.items():
        unknown = [entry["image"] for entry in entries if os.path.realpath(entry["image"]) not in item_of]
        if unknown:
            raise ValueError(
                f"{split_file}: {len(unknown)} scans of {section} are not among the labelled ones of {base}, the first is "
                f"{unknown[0]}. Label them or take them out of the split."
            )
        sections[section] = [item_of[os.path.realpath(entry["image"])] for entry in entries]
    left_out = len(item_of) - len(
        {os.path.realpath(entry["image"]) for entries in listed.values() for entry in entries}
    )
    if left_out:
        logger.warning("%s: %d labelled scans are in none of its lists and are left out", split_file, left_out)
    return sections
