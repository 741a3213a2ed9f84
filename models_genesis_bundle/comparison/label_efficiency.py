"""How many labels the reference needs for the score of another arm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.results import arranged, group_columns
from models_genesis_bundle.metrics import bootstrap_interval

__all__ = ["label_efficiency"]

RESAMPLES = 2000


def label_efficiency(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    """The amount of labels with which the reference scores as much as each arm does with fewer.

    The mean scores of the reference are joined by straight lines over the logarithm of the labels. Where more labels gave a
    lower mean, the higher one with fewer labels counts. The interval is the percentile one of a bootstrap over seeds.

    Args:
        plan: of the comparison.
        table: a row for each run, see `results_table`; of arms that are no baselines.

    Returns:
        A row for each arm, recipe and amount of labels: the columns of `group_columns`, ``seeds`` (those with all runs of the
        reference and this run of the arm), ``needed`` (labels of the reference), ``low`` and ``high`` (the interval). An amount
        below the plan's smallest is 0, one above its largest is infinite. Empty where the plan has one amount of labels.
    """
    if len(plan.labels) == 1 or plan.reference not in set(table["arm"]):
        return pd.DataFrame()
    amount, *others = group_columns(plan)
    recipe = others[:-1]
    sign = 1 if plan.task.higher_is_better else -1
    rows = []
    for name, own in table.groupby(recipe, observed=True) if recipe else [((), table)]:
        scores = own.assign(score=sign * own["score"]).pivot(index="seed", columns=["arm", amount], values="score")
        if plan.reference not in scores:
            continue
        reference = scores[plan.reference].sort_index(axis="columns")
        for arm, labels in scores.drop(columns=plan.reference, level="arm"):
            pairs = pd.concat([reference, scores[arm, labels]], axis="columns").dropna().to_numpy()
            if reference.shape[1] == len(plan.labels) and len(pairs):
                keys = {amount: labels, **dict(zip(recipe, name, strict=True)), "arm": arm}
                rows.append(keys | _needed(pairs, reference.columns.to_numpy(float), plan.confidence))
    found = pd.DataFrame(rows)
    return found if found.empty else arranged(plan, found).sort_values(group_columns(plan), ignore_index=True)


def _needed(pairs: np.ndarray, amounts: np.ndarray, confidence: float) -> dict[str, Any]:
    """The needed labels from the scores of seeds: a row for each, the last column the arm's."""
    low, high = bootstrap_interval(
        lambda times: _on_curve(np.average(pairs, axis=0, weights=times), amounts),
        len(pairs),
        confidence,
        RESAMPLES,
        may_be_infinite=True,
    )
    return {"seeds": len(pairs), "needed": _on_curve(pairs.mean(axis=0), amounts), "low": low, "high": high}


def _on_curve(means: np.ndarray, amounts: np.ndarray) -> float:
    curve, score = np.maximum.accumulate(means[:-1]), means[-1]
    first = np.flatnonzero(np.diff(curve, prepend=-np.inf) > 0)  # of equal scores the one with the fewest labels
    return float(np.exp(np.interp(score, curve[first], np.log(amounts[first]), left=-np.inf, right=np.inf)))
