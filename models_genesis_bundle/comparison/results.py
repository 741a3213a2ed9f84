"""The results of the finished runs: a table with a row for each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from models_genesis_bundle.comparison.fairness import ComparisonError
from models_genesis_bundle.comparison.plan import ComparisonPlan, Labels, nearest_name
from models_genesis_bundle.comparison.run import Run, RunRecord
from models_genesis_bundle.engines import read_metrics

CLASS_DICE = "class_dice_"  # prefix of the columns with the Dice of a class
LAST_PART = 0.25
FEWEST_POINTS = 4


def results_table(plan: ComparisonPlan, finished: Iterable[tuple[Run, RunRecord]]) -> pd.DataFrame:
    """Read the results of finished runs into a table with a row for each run.

    ``score`` and the further metrics are from the evaluation; ``class_dice_…`` is the mean Dice of a class. ``best_epoch`` is
    the first epoch with ``best_validation``. ``epochs_to_reference`` is the first epoch that is as good as the best one of the
    reference with the same labels, recipe and seed, or NaN. ``curve`` is a Series of the validation metric by epoch.

    Raises:
        ComparisonError: a run lacks a metric of the plan; the message suggests similar names.
    """
    table = pd.DataFrame([_row(run, record) for run, record in finished])
    if table.empty:
        return table
    block = [column for column in group_columns(plan) if column != "arm"] + ["seed"]
    reference = table[table["arm"] == plan.reference].set_index(block)["best_validation"]
    targets = table.join(reference.rename("target"), on=block)["target"]
    sign = 1 if plan.task.higher_is_better else -1
    reached = [
        next(iter(curve.index[sign * curve >= sign * target]), math.nan)
        for curve, target in zip(table["curve"], targets, strict=True)
    ]
    table.insert(table.columns.get_loc("epochs") + 1, "epochs_to_reference", reached)
    return arranged(plan, table)


def group_columns(plan: ComparisonPlan) -> list[str]:
    """The columns that identify a run, except for its seed."""
    return ["shots" if plan.shots else "fraction", *(["recipe"] if plan.recipes else []), "arm"]


def labels_of(plan: ComparisonPlan, row: Mapping[str, Any]) -> Labels:
    """The amount of labels of a row."""
    return Labels("shots", row["shots"]) if plan.shots else Labels("label_fraction", row["fraction"])


def condition(plan: ComparisonPlan, row: Mapping[str, Any], over: str = "arm") -> str:
    """The labels, recipe and arm of a row in words, without the column ``over``."""
    return ", ".join([str(labels_of(plan, row)), *(row[name] for name in group_columns(plan)[1:] if name != over)])


def arranged(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    """The table with arms and recipes sorted as in the plan."""
    orders = {"arm": list(plan.initialisations), "recipe": list(plan.recipes)}
    return table.astype({name: pd.CategoricalDtype(order) for name, order in orders.items() if name in table})


def has_settled(gains: pd.Series, tolerance: float) -> bool:
    """Whether the last quarter of a run improved its best validation by at most the fraction ``tolerance``.

    ``gains`` is the validation metric by epoch, negated if lower is better. A run with fewer than four values has not settled.
    """
    earlier = gains[gains.index <= gains.index[-1] * (1 - LAST_PART)]
    if len(gains) < FEWEST_POINTS or earlier.empty:
        return False
    return bool(gains.max() - earlier.max() <= tolerance * abs(gains.max()))


def _row(run: Run, record: RunRecord) -> dict[str, Any]:
    plan, task = run.plan, run.plan.task
    summary = json.loads(run.summary_path.read_text(encoding="utf-8"))
    metrics = summary.get("metrics", {})
    for key, name in [("metric", task.metric), *(("further_metrics", name) for name in task.further_metrics)]:
        if name not in metrics:
            near = nearest_name(name, metrics)
            raise ComparisonError(f"{run.summary_path}: there is no metric {name!r} (task.{key}) in this file; {near}")
    means = {name: math.nan if found["mean"] is None else float(found["mean"]) for name, found in metrics.items()}
    if math.isnan(means[task.metric]):
        raise ComparisonError(
            f"{run.summary_path}: {task.metric} is not a number (NaN), because no case has a value. Choose another "
            "`task.metric`, or test cases for which it is defined."
        )
    classes = [name for name in summary.get("settings", {}).get("label_names", ()) if f"dice_{name}" in metrics]
    curve, epochs = _curve(run)
    gains = curve if task.higher_is_better else -curve
    best_epoch = gains.idxmax()
    return {
        "arm": run.arm,
        "baseline": run.initialisation.baseline,
        "shots" if plan.shots else "fraction": run.labels.amount,
        **({"recipe": run.recipe} if plan.recipes else {}),
        "seed": run.seed,
        "score": means[task.metric],
        **{name: means[name] for name in task.further_metrics},
        **{f"{CLASS_DICE}{name}": means[f"dice_{name}"] for name in classes},
        "best_validation": curve[best_epoch],
        "best_epoch": best_epoch,
        "epochs": epochs,
        "settled": has_settled(gains, plan.settled_tolerance),
        "seconds": record.seconds,
        "folder": str(run.folder.relative_to(plan.output_dir)),
        "curve": curve,
    }


def _curve(run: Run) -> tuple[pd.Series, int]:
    path, name = run.folder / "metrics.csv", run.plan.task.validation_metric
    metrics = pd.DataFrame(read_metrics(path))
    curve = metrics.set_index("epoch")[name].dropna() if name in metrics else pd.Series()
    if curve.empty:
        near = nearest_name(name, metrics.columns)
        raise ComparisonError(
            f"{path}: there is no numeric column {name!r} (task.validation_metric) in this file; {near}"
        )
    return curve.set_axis(curve.index.astype(int)), int(metrics["epoch"].iloc[-1])
