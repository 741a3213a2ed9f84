"""Comparison of the lists of a run with its training: in an evaluation, and when it is resumed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.patients import known_patients, labelled_record
from models_genesis_bundle.messages import first_of

logger = logging.getLogger(__name__)


def evaluated_items(datalist: Mapping[str, Sequence[Mapping[str, Any]]], section: str) -> Sequence[Mapping[str, Any]]:
    """The list of a datalist to evaluate.

    Args:
        datalist: result of `segmentation_datalist` or `classification_datalist`.
        section: ``training``, ``validation`` or ``test``.

    Raises:
        DatalistError: the list is empty.

    Examples:
        >>> from models_genesis_bundle.data import evaluated_items
        >>> evaluated_items({"training": [], "test": [{"image": "a.nii.gz", "patient": "ana"}]}, "test")
        [{'image': 'a.nii.gz', 'patient': 'ana'}]
    """
    if not datalist[section]:
        counts = ", ".join(f"{len(items)} in {name}" for name, items in datalist.items())
        raise DatalistError(
            "section",
            f"expected a list with labelled cases, found none in {section} ({counts}).",
            "Evaluate another list, such as `--section validation`, or list test cases with labels in the data.",
        )
    return datalist[section]


def seen_in_training(items: Sequence[Mapping[str, Any]], section: str, record: Mapping[str, Any] | None) -> list[str]:
    """The evaluated patients whose names are in the training record of the weights.

    The log warns of them, unless the training list is evaluated. For example, a random split changes if scans are added or
    removed after the training.

    Args:
        items: the evaluated cases with their ``patient``.
        section: name of the evaluated list.
        record: ``data`` of the weight file, see `labelled_record`; None if it has no such record.

    Examples:
        >>> from models_genesis_bundle.data import patient_hashes, seen_in_training
        >>> trained_on = {"patient_hashes": patient_hashes(["ana", "ben"])}
        >>> seen_in_training([{"patient": "ana"}, {"patient": "eva"}], "test", trained_on)
        ['ana']
    """
    patients = {str(item["patient"]) for item in items}
    seen = known_patients(patients, (record or {}).get("patient_hashes", ()))
    if seen and section != "training":
        logger.warning(
            "%d of %d %s patients have the names of patients that these weights were trained on: %s. Their scores are not those "
            "of unseen patients. A random split changes if scans are added or removed after the training. Evaluate the data as "
            "they were, or name the lists in a datalist.json and train again.",
            len(seen),
            len(patients),
            section,
            first_of(seen),
        )
    return seen


class ListsOfRun:
    """The patients and numbers of scans of a run's lists, which must be the same when the run is resumed.

    A `TrainingState` saves them and checks them. If scans were added or removed, a random split would move patients.

    Args:
        datalist: lists of ``{"image": path, "patient": name}`` by section.

    Examples:
        >>> from models_genesis_bundle.data import ListsOfRun
        >>> ListsOfRun({"training": [{"image": "a.nii.gz", "patient": "ana"}]}).state_dict()["training"]["scans"]
        1
    """

    def __init__(self, datalist: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.lists = {section: labelled_record(items) for section, items in datalist.items()}

    def state_dict(self) -> dict[str, Any]:
        """The record of each list, see `labelled_record`."""
        return self.lists

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Compare the lists with the saved ones; a `ValueError` names the lists that differ."""
        changed = [
            f"{section} had {then['scans']} scans of {then['patients']} patients, now {now['scans']} of {now['patients']}, and "
            f"{len(set(then['patient_hashes']) - set(now['patient_hashes']))} patients are not in it any more"
            for section, then in saved.items()
            if then != (now := self.lists.get(section, labelled_record([])))
        ]
        if changed:
            raise ValueError(
                f"{'; '.join(changed)}. Restore the data as they were, or start a new run with another output_dir."
            )
