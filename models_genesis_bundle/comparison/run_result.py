"""What a finished run has come to: its scores, its learning curve and the time that it took."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models_genesis_bundle.comparison.convergence import best_point, has_settled
from models_genesis_bundle.comparison.guards import ComparisonError
from models_genesis_bundle.comparison.nearest_name import nearest_name
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.run_record import RunRecord
from models_genesis_bundle.comparison.runs import Run
from models_genesis_bundle.engines import read_metrics

__all__ = ["RunResult", "read_result"]


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Args:
        run: the run.
        score: the plan's metric on the patients of the plan's section.
        further: the plan's further metrics; NaN where the evaluation gives none.
        curve: (epoch, validation metric) of each validation whose metric is a number.
        best_epoch: of the best validation.
        best_validation: its metric.
        epochs: that were trained.
        settled: see `has_settled`.
        seconds: that the training took.
        class_dice: mean Dice of each class, where the evaluation is one of a segmentation; NaN for a class that no case has.
    """

    run: Run
    score: float
    further: Mapping[str, float]
    curve: tuple[tuple[int, float], ...]
    best_epoch: int
    best_validation: float
    epochs: int
    settled: bool
    seconds: float
    class_dice: Mapping[str, float] = field(default_factory=dict)


def read_result(plan: ComparisonPlan, run: Run, record: RunRecord) -> RunResult:
    """Read the result of a finished run.

    Raises:
        ComparisonError: when the run has not left the metrics that the plan names; the nearest ones are named.
    """
    task = plan.task
    summary = json.loads(run.summary_path.read_text(encoding="utf-8"))
    figures = summary.get("metrics", {})
    classes = [name for name in summary.get("settings", {}).get("label_names", ()) if f"dice_{name}" in figures]
    score = _figure(figures, task.metric, run, "task.metric")
    if math.isnan(score):
        raise ComparisonError(
            f"{run.summary_path}: {task.metric} is no number: no case has one. Choose another `task.metric`, or "
            "cases that have it."
        )
    lines = read_metrics(run.metrics_path)
    points = [(int(line["epoch"]), line[task.validation_metric]) for line in lines if task.validation_metric in line]
    curve = tuple(point for point in points if not math.isnan(point[1]))
    if not curve:
        columns = dict.fromkeys(name for line in lines for name in line)
        raise ComparisonError(
            f"{run.metrics_path}: task.validation_metric names no column of numbers: {task.validation_metric!r}; "
            + nearest_name(task.validation_metric, columns)
        )
    best_epoch, best_validation = best_point(curve, task.higher_is_better)
    return RunResult(
        run=run,
        score=score,
        further={name: _figure(figures, name, run, "task.further_metrics") for name in task.further_metrics},
        curve=curve,
        best_epoch=best_epoch,
        best_validation=best_validation,
        epochs=int(lines[-1]["epoch"]),
        settled=has_settled(curve, task.higher_is_better, plan.settled_tolerance),
        seconds=record.seconds,
        class_dice={name: _figure(figures, f"dice_{name}", run, "a class") for name in classes},
    )


def _figure(figures: Mapping[str, Any], name: str, run: Run, key: str) -> float:
    if name not in figures:
        raise ComparisonError(
            f"{run.summary_path}: {key} names no metric of it: {name!r}; {nearest_name(name, figures)}"
        )
    value = figures[name]["mean"]
    return math.nan if value is None else float(value)
