"""The classes to segment, from Auto3DSeg's input and data statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["label_names", "reason_to_skip"]


def reason_to_skip(source: Mapping[str, Any], summary: Mapping[str, Any]) -> str | None:
    """A sentence on why the algorithm cannot segment such data; None if it can.

    Args:
        source: Auto3DSeg's input.
        summary: ``stats_summary`` of the data statistics.
    """
    channels = summary["image_stats"]["channels"]
    if channels["min"] != channels["max"]:
        return f"The scans have {channels['min']} to {channels['max']} channels; the genesis algorithm wants as many in each."
    regions = [name for name in source.get("class_names") or [] if not isinstance(name, str)]
    if source.get("sigmoid") or regions:
        return (
            "The classes are overlapping regions (`sigmoid`, or `class_names` with an index); the genesis algorithm "
            "distinguishes classes that exclude each other."
        )
    return None


def label_names(source: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """Names of the classes 1, 2, … of the label maps.

    Args:
        source: Auto3DSeg's input, with ``class_names`` (without the background) and ``label_map`` (old to new
            label) if wanted.
        summary: ``stats_summary`` of the data statistics.

    Returns:
        ``class_names``, or ``class_1``, ``class_2``, ….

    Raises:
        ValueError: labels with a gap, or different numbers of labels and names.
    """
    label_map = {int(old): int(new) for old, new in (source.get("label_map") or {}).items()}
    found = sorted({label_map.get(int(label), int(label)) for label in summary["label_stats"]["labels"]} | {0})
    if found != list(range(len(found))):
        raise ValueError(
            f"The labels are {', '.join(map(str, found))}, expected 0, 1, 2, … without a gap. Set `label_map` in "
            "Auto3DSeg's input, such as {4: 3}."
        )
    names = list(source.get("class_names") or [f"class_{label}" for label in found[1:]])
    if len(names) != len(found) - 1:
        raise ValueError(
            f"`class_names` has {len(names)} names ({', '.join(names)}) for the {len(found) - 1} labels "
            f"{', '.join(map(str, found[1:]))}: name the classes without the background."
        )
    return names
