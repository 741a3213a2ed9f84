"""Grouping files, by their names, into scans with several channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from models_genesis_bundle.data.datalists.checks import DatalistError
from models_genesis_bundle.data.datalists.find_scans import Found, sorted_paths
from models_genesis_bundle.data.datalists.path_words import without_channels
from models_genesis_bundle.data.scans.files import Channels, case_path, channel_count, channel_names, scan_stem
from models_genesis_bundle.messages import first_of

__all__ = ["group_channels"]

_NAMED_AT_MOST = 5

Case = tuple[Path, str]  # folder, and name without that of the channel


def group_channels(found: Found, channels: Channels, root: Path) -> Found:
    """Make one scan of the files that are its channels; a `DatalistError` if one lacks a channel or has it twice.

    Files whose names end with a channel's name in any case (``p7_flair``, ``p7-T1.nii.gz``) are one scan if the rest of the
    names is the same; scans with other names are then passed over. If no name ends so, the channels may have nnU-Net's
    numbers, ``case_0000``, ``case_0001``, …. A file without either is a scan of its own.
    """
    if channels == 1:
        return found
    names = channel_names(channels)
    placed = {} if isinstance(channels, int) else _by_name(found.scans, names)
    by_name = bool(placed)
    if not by_name and channel_count(channels) > 1:
        placed = _by_number(found.scans)
    rest = [scan for scan in found.scans if scan not in placed]
    cases: dict[Case, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for scan, (case, channel) in placed.items():
        cases[case][channel].append(scan)
    _require_all_channels(cases, names, root)
    in_order = ([scan for channel in sorted(own) for scan in own[channel]] for own in cases.values())
    files_of = {Path(case_path([str(scan) for scan in scans])): scans for scans in in_order}
    passed_over = {"scans of other channels": [str(scan) for scan in rest]} if by_name and rest else {}
    return replace(
        found,
        scans=sorted_paths([*files_of, *([] if by_name else rest)]),
        passed_over=found.passed_over | passed_over,
        channel_files={case: own for case, own in files_of.items() if len(own) > 1},
    )


def _by_name(scans: Sequence[Path], names: Sequence[str]) -> dict[Path, tuple[Case, int]]:
    """The case and the channel of each scan whose name ends with a channel's."""
    placed: dict[Path, tuple[Case, int]] = {}
    longest_first = sorted(range(len(names)), key=lambda number: -len(names[number]))
    for scan in scans:
        stem = scan_stem(scan)
        for number in longest_first:
            rest = stem[: len(stem) - len(names[number])]
            if stem[len(rest) :].lower() == names[number].lower() and (not rest or rest[-1] in "_-. "):
                placed[scan] = (scan.parent, rest.rstrip("_-. ")), number
                break
    return placed


def _by_number(scans: Sequence[Path]) -> dict[Path, tuple[Case, int]]:
    stems = [scan_stem(scan) for scan in scans]
    cases = without_channels(stems, [str(scan.parent) for scan in scans])
    return {
        scan: ((scan.parent, case), int(stem[-4:]))
        for scan, stem, case in zip(scans, stems, cases, strict=True)
        if stem != case
    }


def _require_all_channels(cases: Mapping[Case, Mapping[int, Sequence[Path]]], names: Sequence[str], root: Path) -> None:
    wanted = set(range(len(names)))
    odd = {
        case: sorted(file.name for files in own.values() for file in files)
        for case, own in cases.items()
        if own.keys() != wanted or any(len(files) > 1 for files in own.values())
    }
    if odd:
        named = [f"{case or folder.name} has {', '.join(files)}" for (folder, case), files in sorted(odd.items())]
        raise DatalistError(
            root,
            f"each scan needs {len(names)} channels, a file for each: {', '.join(names)}. {len(odd)} of the {len(cases)} "
            f"scans have others: {first_of(named, _NAMED_AT_MOST)}.",
            "Add the missing files, or remove these scans; for a network with other channels, set "
            "scan_preprocessing::channels.",
        )
