"""Scans of several channels: how many, what they are called, and which files one is made of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.scans.files import scan_stem, scan_suffix

__all__ = ["CHANNEL_FILES", "Channels", "case_path", "channel_count", "channel_names", "scan_files"]

CHANNEL_FILES = "channel_files"  # entry of an item: all files of its scan, of which `image` is the first

Channels = int | Sequence[str]


def channel_count(channels: Channels) -> int:
    """The number of channels, given as this number or as their names.

    Raises:
        ValueError: a number below 1, or names that are not all different.
    """
    count = channels if isinstance(channels, int) else len({name.lower() for name in channels})
    if count < 1 or (not isinstance(channels, int) and count < len(channels)):
        raise ValueError(f"channels must be a number of 1 or more, or different names, got {channels!r}.")
    return count


def channel_names(channels: Channels) -> list[str]:
    """The names of the channels; without names, their numbers as nnU-Net writes them: ``0000``, ``0001``, …."""
    return [f"{number:04d}" for number in range(channels)] if isinstance(channels, int) else list(channels)


def scan_files(item: Mapping[str, Any]) -> list[str]:
    """The files of an item's scan: one for each channel, or the one that holds all of them."""
    return list(item.get(CHANNEL_FILES) or [item["image"]])


def case_path(files: Sequence[str]) -> str:
    """What the scan of these files would be called as one file: what their names have in common, in the folder of the first.

    Examples:
        >>> case_path(["a/case_0000.nii.gz", "a/case_0001.nii.gz"]), case_path(["a/p7_flair.nii", "a/p7_t1.nii"])
        ('a/case.nii.gz', 'a/p7.nii')
    """
    if len(files) == 1:
        return str(files[0])
    stems = [scan_stem(file) for file in files]
    common = os.path.commonprefix(stems)  # noqa: RUF071 - letters are meant
    if any(stem[len(common) :][:1].isalnum() for stem in stems):  # the names differ within a word
        common = re.sub(r"[^\W_]*$", "", common).rstrip("_-. ")
    return os.path.join(os.path.dirname(files[0]), common + scan_suffix(files[0])) if common else str(files[0])
