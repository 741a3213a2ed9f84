"""Splitting a dataset into training, validation and test, and keeping a fraction of the training patients."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist, section_called
from monai.config import PathLike

logger = logging.getLogger(__name__)

_IMAGES = re.compile(r"^images?[_-]?", re.IGNORECASE)

Item = TypeVar("Item", bound=Mapping[str, Any])


@dataclass(frozen=True)
class SplitRequest:
    """How to split a dataset that has no split; a fraction out of range raises a `DatalistError`."""

    validation_fraction: float = 0.2  # fraction of the patients (below 1; at least one patient) or their number
    test_fraction: float = 0.0  # fraction or number of the patients; 0 for none
    seed: int = 0  # random seed of the order of the patients

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            share = getattr(self, name)
            none = share == 0 and name == "test_fraction"
            if not (none or share > 0) or (share >= 1 and share != int(share)):
                found = f"{name} must be a fraction of the patients between 0 and 1, or a whole number of patients, got {share}."
                raise DatalistError("split", found, "Correct it.")


def split_sections(
    sections: Mapping[str, Sequence[Item]], request: SplitRequest, source: PathLike
) -> dict[str, list[Item]]:
    """Move random training patients to the validation and test lists that are empty or missing.

    The patients are shuffled by the seed. One list gets the first patients. If both lists are missing, the test gets the last
    patients, so that no list depends on the size of the other. An error about too few patients names the `source`.
    """
    complete = {section: list(sections.get(section, ())) for section in SECTIONS}
    wanted = {"validation": request.validation_fraction, "test": request.test_fraction}
    shares = {section: share for section, share in wanted.items() if share and not complete[section]}
    if not shares:
        return complete
    items = complete["training"]
    patients = sorted({item["patient"] for item in items})
    counts = _counts(shares, patients, len(items), source)
    shuffled = _shuffled(patients, request.seed)
    section_of = dict.fromkeys(patients, "training")
    for name, ordered in zip(counts, (shuffled, shuffled[::-1]), strict=False):
        section_of |= dict.fromkeys(ordered[: counts[name]], name)
    return complete | {
        name: [item for item in items if section_of[item["patient"]] == name] for name in ("training", *shares)
    }


def _shuffled(patients: Sequence[str], seed: int) -> list[str]:
    return [patients[number] for number in np.random.default_rng(seed).permutation(len(patients))]


def _counts(shares: Mapping[str, float], patients: Sequence[str], items: int, source: PathLike) -> dict[str, int]:
    if len(patients) <= len(shares):
        people = f"one patient ({patients[0]})" if len(patients) == 1 else f"{len(patients)} patients"
        raise DatalistError(
            source,
            f"{items} scans of {people} cannot be split into {', '.join(['training', *shares][:-1])} and {[*shares][-1]}.",
            "Add scans of another patient, or set patient_regex if they are from several patients.",
        )
    counts = {
        name: int(share) if share >= 1 else max(1, round(share * len(patients))) for name, share in shares.items()
    }
    for name in sorted((name for name in shares if shares[name] < 1), key=lambda name: -counts[name]):
        counts[name] = max(1, min(counts[name], len(patients) - 1 - sum(counts.values()) + counts[name]))
    if sum(counts.values()) >= len(patients):
        wanted = " and ".join(f"{count} for {name}" for name, count in counts.items())
        found = f"{wanted} leave no patient for training; there are {len(patients)} patients."
        raise DatalistError(source, found, "Lower these fractions.")
    return counts


def split_by_folder(items: Sequence[Item], root: Path) -> dict[str, list[Item]]:
    """Put items into lists by the names of their folders, such as ``imagesTr`` and ``imagesTs``, or ``train`` and ``val``.

    The innermost folder with such a name is used. If there is only one list, it is ``training``.
    """
    named = [_section_of(Path(item["image"]).relative_to(root)) for item in items]
    if len({section for section in named if section}) < 2:
        return {"training": list(items)}
    if None in named:
        found = (
            f"other cases are in a training, validation or test folder, but not {items[named.index(None)]['image']}."
        )
        raise DatalistError(root, found, "Move it into one of these folders, or give a split_file.")
    return {section: [item for item, name in zip(items, named, strict=True) if name == section] for section in SECTIONS}


def _section_of(path: Path) -> str | None:
    named = (section_called(_IMAGES.sub("", folder)) for folder in reversed(path.parts[:-1]))
    return next(filter(None, named), None)


def split_by_file(items: Sequence[Item], split_file: Path, base: Path) -> dict[str, list[dict[str, Any]]]:
    """Put items into the lists of a JSON with image paths relative to `base` or to the JSON's folder.

    If an image has several files, the JSON can have the first or all of them. Patients in the JSON have precedence.
    """
    listed = read_json_datalist(split_file, base, required=("training", "validation"), name_patients=False)
    item_of = {os.path.realpath(item["image"]): item for item in items}
    sections: dict[str, list[dict[str, Any]]] = {}
    for section, entries in listed.items():
        files = [os.path.realpath(entry["image"]) for entry in entries]
        unknown = [file for file in files if file not in item_of]
        if unknown:
            found = f"{len(unknown)} scans of {section} are not among the labelled scans of {base}. The first is {unknown[0]}."
            raise DatalistError(split_file, found, "Add their labels, or remove them from this file.")
        sections[section] = [
            {**item_of[file], "patient": entry.get("patient", item_of[file]["patient"])}
            for file, entry in zip(files, entries, strict=True)
        ]
    skipped = len(item_of) - len({item["image"] for listed_items in sections.values() for item in listed_items})
    if skipped:
        logger.warning("%s: %d labelled scans are in none of its lists and are skipped", split_file, skipped)
    return sections


def take_fraction(
    items: Sequence[Item],
    fraction: float = 1.0,
    seed: int = 0,
    stratify_key: str | None = None,
    shots: int | None = None,
) -> list[Item]:
    """Keep the items of a random fraction or number of the patients, in their order.

    The choice depends only on the seed and the names of the patients. A smaller fraction is a subset of a larger one: the
    patients of 10 % are also in 30 %, and the patient of one shot is also in two shots.

    Args:
        items: mappings with ``patient``. All items of a patient are kept, or none.
        fraction: fraction of the patients in (0, 1], rounded, but at least one patient.
        seed: another seed keeps other patients.
        stratify_key: key of a class. The classes then keep about their frequencies, and every class keeps at least one item,
            with more patients than requested if necessary. A patient with several classes counts for the rarest one.
        shots: number of patients, instead of `fraction`.

    Raises:
        DatalistError: a fraction or number is out of range, both are given, or there are no items.
        KeyError: an item does not have the `stratify_key`.

    Examples:
        >>> from models_genesis_bundle.data import take_fraction
        >>> [item["patient"] for item in take_fraction([{"patient": "ana"}, {"patient": "ben"}], shots=1)]
        ['ana']
    """
    if not 0 < fraction <= 1:
        found = f"expected a fraction of the training patients above 0 and up to 1, found {fraction}."
        raise DatalistError("label_fraction", found, "Correct it.")
    if not items:
        raise DatalistError("label_fraction", "the list of training items is empty.", "Check the training list.")
    patients = sorted({item["patient"] for item in items})
    if shots is None:
        wanted = max(1, round(fraction * len(patients)))
    elif isinstance(shots, bool) or not isinstance(shots, int) or not 1 <= shots <= len(patients):
        found = f"expected a whole number of training patients from 1 to {len(patients)}, found {shots!r}."
        raise DatalistError("shots", found, "Correct it.")
    elif fraction != 1:
        raise DatalistError("shots", f"label_fraction is also set, to {fraction}.", "Set only one of them.")
    else:
        wanted = shots
    shuffled = _shuffled(patients, seed)
    if stratify_key is not None:
        shuffled, least = _stratified(shuffled, items, stratify_key)
        wanted = max(least, wanted)
    patients_kept = set(shuffled[:wanted])
    kept = [item for item in items if item["patient"] in patients_kept]
    if fraction < 1 or shots is not None:
        setting = f"label_fraction={fraction:g}" if shots is None else f"shots={shots}"
        message = "%s: %d of %d training patients are used, with %d of %d items"
        logger.info(message, setting, len(patients_kept), len(patients), len(kept), len(items))
    return kept


def _stratified(shuffled: Sequence[str], items: Sequence[Item], key: str) -> tuple[list[str], int]:
    """Order the patients so that the first ones have about the frequencies of all classes, for any number of patients.

    Also returns the number of first patients that together have every class.
    """
    classes: dict[str, set[Hashable]] = defaultdict(set)
    for item in items:
        if key not in item:
            raise KeyError(
                f"{item.get('image', item)}: it has no entry {key!r}, the class by which label_fraction is stratified."
            )
        classes[item["patient"]].add(item[key])
    frequency = Counter(value for values in classes.values() for value in values)
    by_rarity = sorted(frequency, key=lambda value: (frequency[value], str(value)))
    first: list[str] = []
    for value in by_rarity:
        if not any(value in classes[patient] for patient in first):
            first.append(next(patient for patient in shuffled if value in classes[patient]))
    ordered = [*first, *(patient for patient in shuffled if patient not in first)]
    strata: dict[Hashable, list[str]] = defaultdict(list)
    for patient in ordered:
        strata[next(value for value in by_rarity if value in classes[patient])].append(patient)
    place = {
        patient: (number + 0.5) / len(members) for members in strata.values() for number, patient in enumerate(members)
    }
    return [*first, *sorted(ordered[len(first) :], key=lambda patient: place[patient])], len(first)
