"""How the items of a data set come into the lists training, validation and test."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from models_genesis_bundle.data.datalists.checks import DatalistError
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from monai.config import PathLike

__all__ = ["SplitRequest", "split_by_file", "split_by_folder", "split_sections"]

logger = logging.getLogger(__name__)

_SECTION_FOLDERS = {
    "training": re.compile(r"(images?[_-]?)?(tr|train(ing)?)", re.IGNORECASE),
    "validation": re.compile(r"(images?[_-]?)?(val|valid(ation)?)", re.IGNORECASE),
    "test": re.compile(r"(images?[_-]?)?(ts|test(ing)?)", re.IGNORECASE),
}

Item = TypeVar("Item", bound=Mapping[str, Any])


@dataclass(frozen=True)
class SplitRequest:
    """How a data set is to be split where it does not name a split itself.

    Args:
        validation_fraction: below 1 the share of the patients that validate, rounded, at least one and never all; from 1
            their number.
        test_fraction: the same for the test; 0 for none.
        seed: which patients these are.

    Raises:
        DatalistError: a fraction out of range.
    """

    validation_fraction: float = 0.2
    test_fraction: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            share = getattr(self, name)
            none = share == 0 and name == "test_fraction"
            if not (none or share > 0) or (share >= 1 and share != int(share)):
                raise DatalistError(
                    "split",
                    f"{name} must be a share of the patients between 0 and 1, or a whole number of patients, got {share}.",
                    "Correct it.",
                )


def split_sections(
    sections: Mapping[str, Sequence[Item]], request: SplitRequest, source: PathLike
) -> dict[str, list[Item]]:
    """Take the lists that the data do not name, validation or test or both, from the training patients.

    The patients are shuffled by the seed; validation takes them from the start, the test from the end, so that the choice of
    the one does not depend on the size of the other.

    Args:
        sections: ``training`` and whatever else the data name, of anything with a ``patient``; an empty list counts as
            not named.
        request: the sizes and the seed.
        source: the dataset, for errors.

    Returns:
        ``training``, ``validation`` and ``test``, each in the order of the items.

    Raises:
        DatalistError: too few patients.
    """
    complete = {section: list(sections.get(section, ())) for section in SECTIONS}
    shares = {} if complete["validation"] else {"validation": request.validation_fraction}
    if not complete["test"] and request.test_fraction != 0:
        shares["test"] = request.test_fraction
    if not shares:
        return complete
    items = complete["training"]
    patients = sorted({item["patient"] for item in items})
    counts = _counts(shares, patients, len(items), source)
    shuffled = [patients[number] for number in np.random.default_rng(request.seed).permutation(len(patients))]
    section_of = dict.fromkeys(patients, "training")
    for name, ordered in zip(counts, (shuffled, shuffled[::-1]), strict=False):
        section_of |= dict.fromkeys(ordered[: counts[name]], name)
    return complete | {
        name: [item for item in items if section_of[item["patient"]] == name] for name in ("training", *shares)
    }


def _counts(shares: Mapping[str, float], patients: Sequence[str], items: int, source: PathLike) -> dict[str, int]:
    if len(patients) <= len(shares):
        people = f"one patient ({patients[0]})" if len(patients) == 1 else f"{len(patients)} patients"
        raise DatalistError(
            source,
            f"{items} scans of {people} cannot be split into {', '.join(['training', *shares][:-1])} and {[*shares][-1]}.",
            "Add scans of another patient, or give patient_regex if these are several people.",
        )
    counts = {
        name: int(share) if share >= 1 else max(1, round(share * len(patients))) for name, share in shares.items()
    }
    for name in sorted((name for name in shares if shares[name] < 1), key=lambda name: -counts[name]):
        counts[name] = max(1, min(counts[name], len(patients) - 1 - sum(counts.values()) + counts[name]))
    if sum(counts.values()) >= len(patients):
        wanted = " and ".join(f"{count} for {name}" for name, count in counts.items())
        raise DatalistError(
            source, f"{wanted} leave none of the {len(patients)} patients for training.", "Lower these fractions."
        )
    return counts


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
        DatalistError: an item that lies in no such folder while others name a split.
    """
    named = [_section_of(Path(item["image"]).relative_to(root)) for item in items]
    if len({section for section in named if section}) < 2:
        return {"training": list(items), "validation": [], "test": []}
    if None in named:
        raise DatalistError(
            root,
            f"folders put other cases into training, validation or test, but not {items[named.index(None)]['image']}.",
            "Move it, or name the split in a split_file.",
        )
    return {section: [item for item, name in zip(items, named, strict=True) if name == section] for section in SECTIONS}


def _section_of(path: Path) -> str | None:
    folders = reversed(path.parts[:-1])
    return next((name for folder in folders for name, form in _SECTION_FOLDERS.items() if form.fullmatch(folder)), None)


def split_by_file(items: Sequence[Item], split_file: Path, base: Path) -> dict[str, list[Item]]:
    """Put items into the lists that a JSON names.

    Args:
        items: anything with the path of an ``image``.
        split_file: JSON with the lists ``training`` and ``validation`` (``test`` if wanted) of paths of images; of a scan with
            several files, the first or all.
        base: folder that the paths count from; where they are not there, they count from the JSON's folder.

    Returns:
        ``training``, ``validation`` and ``test``. Items that the JSON does not name are left out, and counted in the log.

    Raises:
        FileNotFoundError: no such JSON, or a listed file is not there.
        DatalistError: a JSON that cannot be understood, or a listed file that is none of the items.
    """
    listed = read_json_datalist(split_file, base, required=("training", "validation"))
    item_of = {os.path.realpath(item["image"]): item for item in items}
    sections: dict[str, list[Item]] = {}
    for section, entries in listed.items():
        files = [os.path.realpath(entry["image"]) for entry in entries]
        unknown = [file for file in files if file not in item_of]
        if unknown:
            raise DatalistError(
                split_file,
                f"{len(unknown)} scans of {section} are not among the labelled ones of {base}, the first is {unknown[0]}.",
                "Label them or take them out of the split.",
            )
        sections[section] = [item_of[file] for file in files]
    left_out = len(item_of) - len({item["image"] for listed_items in sections.values() for item in listed_items})
    if left_out:
        logger.warning("%s: %d labelled scans are in none of its lists and are left out", split_file, left_out)
    return sections
