"""Numbers at the ends of names that count the scans or channels of one person."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from models_genesis_bundle.data.datalists.path_words import Tells, has_number, subject_of, tells

__all__ = ["without_channels", "without_index"]

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_MOST_CHANNELS = 10
_MOST_CHANNELS_OF_ONE = 4  # case_0000 … case_0003 alone are channels of one case, more are cases
_INDEX = re.compile(r"(.*[^\W_])[ _-](\d{1,3})")
_LARGEST_INDEX = 20
_MOST_SCANS_OF_ONE = 4  # of a person, on average


def without_channels(stems: Sequence[str], folders: Sequence[str]) -> list[str]:
    """The scans' names, without nnU-Net's number of the channel in folders where each ends with one, from 0000 on."""
    channels: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    other: set[str] = set()
    for folder, stem in zip(folders, stems, strict=True):
        if match := _CHANNEL.fullmatch(stem):
            channels[folder][match[1]].add(int(match[2]))
        else:
            other.add(folder)
    counted = {folder for folder, cases in channels.items() if folder not in other and _are_channels(cases)}
    return [stem[:-5] if folder in counted else stem for folder, stem in zip(folders, stems, strict=True)]


def _are_channels(cases: dict[str, set[int]]) -> bool:
    if any(0 not in numbers or max(numbers) >= _MOST_CHANNELS for numbers in cases.values()):
        return False
    (case, numbers), *others = cases.items()
    return bool(others) or case[-1].isdigit() or len(numbers) <= _MOST_CHANNELS_OF_ONE


def without_index(names: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Take a small number off the ends of names that then are those of several people with few scans each.

    ``LIDC-IDRI-0060_R_1`` becomes ``LIDC-IDRI-0060``, ``ana_2`` becomes ``ana``; ``liver_7`` stays where all are livers.
    """
    shorter = {name: name for name in names}
    places = defaultdict(set)
    for name, folder in zip(names, folders, strict=True):
        places[name].add(folder)
    for _ in range(2):  # a number of the scan, and one of the visit before it
        families: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        prefixes_in: dict[str, set[str]] = defaultdict(set)
        for name, short in shorter.items():
            match = _INDEX.fullmatch(short)
            if match and int(match[2]) <= _LARGEST_INDEX and tells(short) == Tells.NAME:
                shape = re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", short))
                families[shape][match[1]].add(match[2])
                for folder in places[name]:
                    prefixes_in[folder].add(match[1])
        people = {
            prefix
            for family in families.values()
            if len(family) > 1 and _are_scans_of_people(family)
            for prefix in family
        }
        if all(len(prefixes) == 1 for prefixes in prefixes_in.values()):
            break  # each folder has a prefix of its own: it is that of the folder
        for name, short in shorter.items():
            match = _INDEX.fullmatch(short)
            if match and match[1] in people:
                shorter[name] = subject_of(match[1])
    return [shorter[name] for name in names]


def _are_scans_of_people(numbers: dict[str, set[str]]) -> bool:
    """Whether the numbers after each prefix count the few scans of a person."""
    few = sum(map(len, numbers.values())) <= _MOST_SCANS_OF_ONE * len(numbers)
    counted = all(
        sorted(map(int, own)) in (list(range(len(own))), list(range(1, len(own) + 1))) and max(map(len, own)) < 3
        for prefix, own in numbers.items()
        if not has_number(prefix)
    )
    return few and counted
