"""Whether patients that are scored were seen in pretraining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from models_genesis_bundle.comparison.fairness import cases_of
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation
from models_genesis_bundle.comparison.runs import Run
from models_genesis_bundle.data import patient_hashes
from models_genesis_bundle.weights import CheckpointError, read_checkpoint

__all__ = ["pretraining_warnings"]

SHOWN = 5


def pretraining_warnings(plan: ComparisonPlan, finished: Iterable[Run]) -> list[str]:
    """Say of each arm with initial weights whether its pretraining has seen patients that are scored.

    Patients are the same when their names are: the weight file's ``data`` record holds the hashes of names (see
    ``ScanCubes.record``), the column ``patient`` of the evaluation's table of cases the names.

    Args:
        plan: of the comparison.
        finished: the runs whose scored patients are looked at.

    Returns:
        A sentence for each arm whose pretraining has seen such patients, or whose weight file does not say whom it has.
    """
    patients = {patient for run in finished for _, patient in cases_of(run)}
    warnings = []
    for arm in plan.initialisations:
        if arm.initial_weights is None:
            continue
        seen = _patients_of(plan, arm)
        if seen is None:
            warnings.append(
                f"{arm.name}: {arm.initial_weights} does not say which patients it was pretrained on, so that nobody can "
                f"check here whether {plan.section} patients were among them."
            )
        elif both := sorted(patient for patient in patients if not seen.isdisjoint(patient_hashes([patient]))):
            names = ", ".join(both[:SHOWN]) + (", …" if len(both) > SHOWN else "")
            warnings.append(
                f"{arm.name}: {len(both)} of {len(patients)} {plan.section} patients were seen in its pretraining "
                f"({names}). Its scores are not those of unseen patients: pretrain without them, or leave them out."
            )
    return warnings


def _patients_of(plan: ComparisonPlan, arm: Initialisation) -> set[str] | None:
    try:
        return _patients_seen(read_checkpoint(plan.path(str(arm.initial_weights))))
    except (CheckpointError, KeyError, TypeError):
        return None


def _patients_seen(record: Mapping[str, Any]) -> set[str]:
    """Hashes of the patients that a weight file was trained on, and those that it started from."""
    start = record.get("initial_weights")
    before = set() if start is None or start["file"] == "none" else _patients_seen(start)
    return before.union(record["data"]["patient_hashes"])
