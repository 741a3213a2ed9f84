"""Warnings for the reader of a comparison: patients seen in pretraining, unsettled runs, missed classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from models_genesis_bundle.comparison.fairness import cases_of
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.results import CLASS_DICE, condition
from models_genesis_bundle.comparison.run import Run
from models_genesis_bundle.data import patient_hashes
from models_genesis_bundle.weights import CheckpointError, read_checkpoint

__all__ = ["pretraining_cautions", "score_cautions"]

SHOWN = 5


def pretraining_cautions(plan: ComparisonPlan, finished: Iterable[Run]) -> list[str]:
    """Name the arms whose pretraining has seen patients that are scored.

    Patients are identified by their names: the weight file's ``data`` record holds the hashes of the names (see
    ``ScanCubes.record``), the column ``patient`` of the evaluation's table of cases holds the names.

    Args:
        plan: of the comparison.
        finished: the runs whose scored patients are looked at.

    Returns:
        A sentence for each arm whose pretraining has seen such patients, or whose weight file has no record of its patients.
    """
    patients = {patient for run in finished for patient in cases_of(run)["patient"]}
    cautions = []
    for name, arm in plan.initialisations.items():
        if arm.initial_weights is None:
            continue
        seen = _patients_of(plan, arm.initial_weights)
        if seen is None:
            cautions.append(
                f"{name}: {arm.initial_weights} does not record which patients it was pretrained on: "
                f"whether {plan.section} patients were among them cannot be checked."
            )
        elif both := sorted(patient for patient in patients if not seen.isdisjoint(patient_hashes([patient]))):
            names = ", ".join(both[:SHOWN]) + (", …" if len(both) > SHOWN else "")
            cautions.append(
                f"{name}: {len(both)} of {len(patients)} {plan.section} patients were seen in its pretraining ({names}). "
                "Its scores are not those of unseen patients: pretrain without them, or leave them out."
            )
    return cautions


def score_cautions(plan: ComparisonPlan, scores: pd.DataFrame) -> list[str]:
    """Name the arms with runs that had not settled, or that miss a class; see ``Statistics.scores``."""
    cautions = []
    for row in scores.to_dict("records"):
        where, runs = f"{row['arm']} at {condition(plan, row)}", row["runs"]
        if row["settled"] < runs:
            cautions.append(
                f"{where}: {runs - row['settled']} of {runs} runs had not settled when they ended: still getting better, or "
                "too short to tell. Train longer before you rely on these scores."
            )
        if row["missed"]:
            start = f"missed_{CLASS_DICE}"
            classes = [
                f"{name.removeprefix(start)} ({row[name]})" for name in row if name.startswith(start) and row[name]
            ]
            cautions.append(
                f"{where}: {row['missed']} of {runs} runs miss a class: {', '.join(classes)}. That decides the mean score. "
                "Look for a recipe by which every class is learnt."
            )
    return cautions


def _patients_of(plan: ComparisonPlan, weights: str) -> set[str] | None:
    try:
        return _patients_seen(read_checkpoint(plan.path(weights)))
    except (CheckpointError, KeyError, TypeError):
        return None


def _patients_seen(record: Mapping[str, Any]) -> set[str]:
    """Hashes of the patients of a weight file's training, and of the weights that it started from."""
    start = record.get("initial_weights")
    before = set() if start is None or start["file"] == "none" else _patients_seen(start)
    return before.union(record["data"]["patient_hashes"])
