"""The statistics of a table of runs. Differences are paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.results import CLASS_DICE, arranged, group_columns
from models_genesis_bundle.engines import UNLEARNT_DICE
from models_genesis_bundle.metrics import bootstrap_interval, mean_with_interval
from scipy import stats

DIGITS = 12  # differences are rounded to these decimals, so that rounding errors become ties
RESAMPLES = 2000  # bootstrap samples of the seeds for the interval of the needed labels


@dataclass(frozen=True)
class Statistics:
    """The statistics of the finished runs of a comparison: tables with the columns of `group_columns` and others.

    Args:
        scores: ``runs``, ``mean``, ``sd``, ``median`` and ``best`` of the scores; ``settled`` runs; median ``best_epoch`` and
            ``seconds``; ``NAME`` (mean), ``NAME_sd`` and ``NAME_runs`` of further metrics and of the Dice of each class;
            ``missed_NAME``, runs whose Dice of a class is below `engines.UNLEARNT_DICE`; ``missed``, runs with any such class.
        differences: differences between the arms and the reference: the result of `paired_test`, ``t_holm``,
            ``wilcoxon_holm`` and ``significant``.
        recipe_differences: the same columns for the differences between the recipes and the first, for each arm.
        reaching: ``pairs`` of runs with the same seed; how many ``reached`` the best validation of the reference; the median of
            their ``epochs``, and its ``ratio`` to the epochs of the reference.
        label_efficiency: the labels that the reference needs for the scores of the other arms, see `label_efficiency`.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    recipe_differences: pd.DataFrame
    reaching: pd.DataFrame
    label_efficiency: pd.DataFrame

    @classmethod
    def of(cls, plan: ComparisonPlan, table: pd.DataFrame) -> Statistics:
        """The statistics of a table of runs, see `results_table`."""
        if table.empty:
            return cls(*[pd.DataFrame()] * 5)
        tested = table[~table["baseline"]]
        return cls(
            scores=_scores(plan, table),
            differences=_differences(plan, tested, "arm", plan.reference),
            recipe_differences=_differences(plan, tested, "recipe", next(iter(plan.recipes), "")),
            reaching=_reaching(plan, tested),
            label_efficiency=label_efficiency(plan, tested),
        )


def paired_test(differences: pd.Series, confidence: float = 0.95) -> dict[str, Any]:
    """Test whether the differences of pairs are zero.

    Returns:
        ``pairs``, mean ``difference``, its bootstrap interval ``low`` and ``high``, the two-sided ``t_p`` and ``wilcoxon_p``
        (which ignores zero differences), and a ``note`` if a test is impossible and its result NaN.
    """
    values = differences.to_numpy().round(DIGITS)
    result = {"pairs": len(values), "difference": values.mean()}
    if len(values) == 1:
        return result | dict.fromkeys(("low", "high", "t_p", "wilcoxon_p"), np.nan) | {"note": "one seed: no test"}
    if not values.any():
        return result | {"low": 0.0, "high": 0.0, "t_p": 1.0, "wilcoxon_p": 1.0, "note": "all pairs are equal"}
    same = (values == values[0]).all()
    interval = mean_with_interval(values, confidence=confidence)
    return result | {
        "low": interval["low"],
        "high": interval["high"],
        "t_p": np.nan if same else stats.ttest_1samp(values, 0.0).pvalue,
        "wilcoxon_p": stats.wilcoxon(values).pvalue,
        "note": "all differences are the same: no t-test" if same else "",
    }


def holm(p_values: pd.Series) -> pd.Series:
    """The p values of a family of tests, adjusted by Holm's procedure (Scandinavian Journal of Statistics 6, 1979).

    NaN, for an impossible test, is not counted.
    """
    ascending = p_values.dropna().sort_values()
    return (ascending * np.arange(len(ascending), 0, -1)).cummax().clip(upper=1).reindex(p_values.index)


def _scores(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    classes = [name for name in table if name.startswith(CLASS_DICE)]
    missed = (table[classes] < UNLEARNT_DICE).add_prefix("missed_")
    missed["missed"] = missed.any(axis=1)
    groups = pd.concat([table, missed], axis=1).groupby(group_columns(plan), observed=True)
    of_metrics = {
        f"{name}{ending}": (name, function)
        for name in (*plan.task.further_metrics, *classes)
        for ending, function in (("", "mean"), ("_sd", "std"), ("_runs", "count"))
    }
    return groups.agg(
        runs=("score", "size"),
        mean=("score", "mean"),
        sd=("score", "std"),
        median=("score", "median"),
        best=("score", "max" if plan.task.higher_is_better else "min"),
        settled=("settled", "sum"),
        best_epoch=("best_epoch", "median"),
        seconds=("seconds", "median"),
        **of_metrics,
        **{name: (name, "sum") for name in missed},
    ).reset_index()


def _differences(plan: ComparisonPlan, table: pd.DataFrame, over: str, reference: str) -> pd.DataFrame:
    if over not in table or reference not in set(table[over]):
        return pd.DataFrame()
    block = [column for column in group_columns(plan) if column != over]
    scores = table.pivot(index=[*block, "seed"], columns=over, values="score")
    gains = scores.drop(columns=reference).sub(scores[reference], axis=0)
    pairs = arranged(plan, gains.melt(var_name=over, value_name="gain", ignore_index=False).dropna().reset_index())
    tests = pd.DataFrame(
        {**dict(zip([*block, over], keys, strict=True)), **paired_test(group["gain"], plan.confidence)}
        for keys, group in pairs.groupby([*block, over], observed=True)
    )
    if tests.empty:
        return tests
    tests["t_holm"], tests["wilcoxon_holm"] = holm(tests["t_p"]), holm(tests["wilcoxon_p"])
    return tests.assign(significant=tests["t_holm"] < 1 - plan.confidence)


def _reaching(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    columns = group_columns(plan)
    block = [*columns[:-1], "seed"]
    reference = table[table["arm"] == plan.reference].set_index(block)["best_epoch"]
    pairs = table[table["arm"] != plan.reference].join(reference.rename("needed"), on=block).dropna(subset="needed")
    pairs["ratio"] = pairs["epochs_to_reference"] / pairs["needed"]
    groups = pairs.groupby(columns, observed=True)
    return groups.agg(
        pairs=("seed", "size"),
        reached=("epochs_to_reference", "count"),
        epochs=("epochs_to_reference", "median"),
        ratio=("ratio", "median"),
    ).reset_index()


def label_efficiency(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    """The amount of labels that the reference needs for the score of each other arm.

    It is interpolated between the mean scores of the reference, linearly in the logarithm of the labels. If more labels gave a
    lower mean, the higher mean with fewer labels is used. The interval is a percentile bootstrap over seeds.

    Returns:
        A row for each arm, recipe and amount of labels: ``seeds`` (with this run and all runs of the reference), ``needed``,
        ``low`` and ``high``. An amount is 0 below the plan's smallest, and infinite above its largest. Empty if the plan has
        one amount of labels.
    """
    if len(plan.labels) == 1 or plan.reference not in set(table["arm"]):
        return pd.DataFrame()
    amount, *others = group_columns(plan)
    recipe = others[:-1]
    sign = 1 if plan.task.higher_is_better else -1
    rows = []
    for name, runs in table.groupby(recipe, observed=True) if recipe else [((), table)]:
        scores = runs.assign(score=sign * runs["score"]).pivot(index="seed", columns=["arm", amount], values="score")
        if plan.reference not in scores:
            continue
        reference = scores[plan.reference].sort_index(axis="columns")
        amounts = reference.columns.to_numpy(float)
        for arm, labels in scores.drop(columns=plan.reference, level="arm"):
            pairs = pd.concat([reference, scores[arm, labels]], axis="columns").dropna().to_numpy()
            if len(amounts) == len(plan.labels) and len(pairs):
                keys = {amount: labels, **dict(zip(recipe, name, strict=True)), "arm": arm}
                rows.append(keys | _needed(pairs, amounts, plan.confidence))
    found = pd.DataFrame(rows)
    return found if found.empty else arranged(plan, found).sort_values(group_columns(plan), ignore_index=True)


def _needed(pairs: np.ndarray, amounts: np.ndarray, confidence: float) -> dict[str, Any]:
    """The needed labels, from the scores (seeds, amounts of the reference and, as the last column, the arm)."""
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
    first = np.flatnonzero(np.diff(curve, prepend=-np.inf) > 0)  # for equal scores, the fewest labels
    return float(np.exp(np.interp(score, curve[first], np.log(amounts[first]), left=-np.inf, right=np.inf)))
