"""Splitting of items into training, validation and test, patient by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

__all__ = ["complete_split", "split_by_patient"]

Item = TypeVar("Item", bound=Mapping[str, Any])


def complete_split(
    sections: Mapping[str, Sequence[Item]],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str | Path,
) -> dict[str, list[Item]]:
    """Take the lists that the data do not name, validation or test or both, from the training patients.

    Args:
        sections: ``training`` and whatever else the data name; an empty list counts as not named.
        validation_fraction: share or number of the training patients, see `split_by_patient`.
        test_fraction: the same for the test; 0 leaves the test empty where the data name none.
        seed: seed of the split.
        source: the dataset, for errors.

    Returns:
        ``training``, ``validation`` and ``test``.

    Raises:
        ValueError: as `split_by_patient`.
    """
    complete = {section: list(sections.get(section, ())) for section in ("training", "validation", "test")}
    shares = {"validation": validation_fraction} if not complete["validation"] else {}
    if not complete["test"] and test_fraction != 0:
        shares["test"] = test_fraction
    return complete | split_by_patient(complete["training"], shares, seed, source) if shares else complete


def split_by_patient(
    items: Sequence[Item], shares: Mapping[str, float], seed: int, source: str | Path
) -> dict[str, list[Item]]:
    """Split items by patient into ``training`` and one or two further lists.

    The patients are shuffled by the seed; the first list takes them from the start, the second from the end, so that
    the choice of the one does not depend on the size of the other.

    Args:
        items: anything with a ``patient``.
        shares: the further lists, at most two, by name: a value in (0, 1) is a share of the patients, rounded, at least
            one patient and never all; an integer from 1 is a number of patients.
        seed: seed of the split.
        source: the dataset, for errors.

    Returns:
        The lists by name, each in the order of `items`.

    Raises:
        ValueError: a share out of range, or too few patients.
    """
    patients = sorted({item["patient"] for item in items})
    lists = ("training", *shares)
    if len(patients) < len(lists):
        people = f"one patient ({patients[0]})" if len(patients) == 1 else f"{len(patients)} patients"
        raise ValueError(
            f"{source}: {len(items)} scans of {people} cannot be split into {', '.join(lists[:-1])} and {lists[-1]}. "
            "Add scans of another patient, or give patient_regex if these are several people."
        )
    counts = _counts(shares, len(patients), source)
    shuffled = [patients[number] for number in np.random.default_rng(seed).permutation(len(patients))]
    section_of = dict.fromkeys(patients, "training")
    for name, ordered in zip(counts, (shuffled, shuffled[::-1]), strict=False):
        section_of |= dict.fromkeys(ordered[: counts[name]], name)
    return {name: [item for item in items if section_of[item["patient"]] == name] for name in lists}


def _counts(shares: Mapping[str, float], patients: int, source: str | Path) -> dict[str, int]:
    for name, share in shares.items():
        if not share > 0 or (share >= 1 and share != int(share)):
            raise ValueError(
                f"{name}_fraction must be a share of the patients between 0 and 1, or a whole number of patients, "
                f"got {share}."
            )
    counts = {name: int(share) if share >= 1 else max(1, round(share * patients)) for name, share in shares.items()}
    for name in sorted((name for name in shares if shares[name] < 1), key=lambda name: -counts[name]):
        counts[name] = max(1, min(counts[name], patients - 1 - sum(counts.values()) + counts[name]))
    if sum(counts.values()) >= patients:
        wanted = " and ".join(f"{count} for {name}" for name, count in counts.items())
        raise ValueError(f"{source}: {wanted} leave none of the {patients} patients for training. Lower them.")
    return counts
