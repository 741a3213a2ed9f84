"""Keeping the labels of some of the patients only: a share, or a number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from models_genesis_bundle.data.datalists.checks import DatalistError

__all__ = ["take_fraction"]

Item = TypeVar("Item", bound=Mapping[str, Any])


def take_fraction(
    items: Sequence[Item],
    fraction: float = 1.0,
    seed: int = 0,
    stratify_key: str | None = None,
    shots: int | None = None,
) -> list[Item]:
    """Take the items of a share of the patients, or of a number of them.

    The patients are put into an order that follows from the seed and the patients' names alone, and a smaller share or
    number is the beginning of a larger one: 10 % are among the 30 %, and the patient of one shot is among those of two.

    Args:
        items: anything with a ``patient``; all items of a patient are taken or left together.
        fraction: share of the patients in (0, 1], rounded, at least one patient.
        seed: start of the order; another seed gives another draw of the same size.
        stratify_key: key of a class. Every class then keeps at least one item, even if that takes more patients than
            asked for, and the classes keep about their shares. A patient with items of several classes counts for
            the class that the fewest patients have.
        shots: number of patients, in place of `fraction`.

    Returns:
        The items that are kept, in their order.

    Raises:
        DatalistError: a fraction or number out of range, both of them, or no items.
        KeyError: an item without a `stratify_key`.

    Examples:
        >>> from models_genesis_bundle.data import take_fraction
        >>> [item["patient"] for item in take_fraction([{"patient": "ana"}, {"patient": "ben"}], shots=1)]
        ['ana']
    """
    if not 0 < fraction <= 1:
        raise DatalistError(
            "label_fraction",
            f"it is a share of the training patients above 0 and up to 1, got {fraction}.",
            "Correct it.",
        )
    if not items:
        raise DatalistError("label_fraction", "there are no items to take a share of.", "Check the training list.")
    patients = sorted({item["patient"] for item in items})
    wanted = round(fraction * len(patients)) if shots is None else _checked_shots(shots, fraction, len(patients))
    shuffled = [patients[number] for number in np.random.default_rng(seed).permutation(len(patients))]
    least = 1
    if stratify_key is not None:
        shuffled, least = _stratified(shuffled, _classes_of(items, stratify_key))
    kept = set(shuffled[: max(least, wanted)])
    return [item for item in items if item["patient"] in kept]


def _checked_shots(shots: int, fraction: float, patients: int) -> int:
    if isinstance(shots, bool) or not isinstance(shots, int) or not 1 <= shots <= patients:
        raise DatalistError(
            "shots",
            f"it is a whole number of training patients, from 1 to the {patients} that there are, got {shots!r}.",
            "Correct it.",
        )
    if fraction != 1:
        raise DatalistError("shots", f"label_fraction is {fraction} as well.", "Give one of the two.")
    return shots


def _classes_of(items: Sequence[Item], key: str) -> dict[str, set[Hashable]]:
    classes: dict[str, set[Hashable]] = {}
    for item in items:
        if key not in item:
            raise KeyError(f"{item.get('image', item)}: it has no entry {key!r} to stratify the label fraction by.")
        classes.setdefault(item["patient"], set()).add(item[key])
    return classes


def _stratified(shuffled: Sequence[str], classes: Mapping[str, set[Hashable]]) -> tuple[list[str], int]:
    """Order the patients so that every beginning holds the classes in about their shares.

    Returns:
        The order, and how many at its beginning hold every class.
    """
    frequency = Counter(value for values in classes.values() for value in values)
    by_rarity = sorted(frequency, key=lambda value: (frequency[value], str(value)))
    first: list[str] = []
    for value in by_rarity:
        if not any(value in classes[patient] for patient in first):
            first.append(next(patient for patient in shuffled if value in classes[patient]))
    ordered = [*first, *(patient for patient in shuffled if patient not in first)]
    strata: dict[Hashable, list[str]] = {}
    for patient in ordered:
        strata.setdefault(next(value for value in by_rarity if value in classes[patient]), []).append(patient)
    place = {
        patient: (number + 0.5) / len(members) for members in strata.values() for number, patient in enumerate(members)
    }
    return [*first, *sorted(ordered[len(first) :], key=lambda patient: place[patient])], len(first)
