"""The statistics of the table of runs. Differences are paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.comparison.label_efficiency import label_efficiency
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.results import CLASS_DICE, arranged, group_columns
from models_genesis_bundle.engines import UNLEARNT_DICE
from models_genesis_bundle.metrics import mean_with_interval
from scipy import stats

__all__ = ["Statistics", "holm", "paired_test"]

DIGITS = 12  # differences by rounding alone are ties


@dataclass(frozen=True)
class Statistics:
    """The statistics of the finished runs of a comparison.

    Each is a table with the columns of `group_columns` and

    Args:
        scores: ``runs``, ``mean``, ``sd``, ``median`` and ``best`` of the scores, ``settled`` runs, median ``best_epoch`` and
            ``seconds``; for each further metric and class ``NAME``, ``NAME_sd`` and ``NAME_runs``; ``missed_NAME`` runs
            whose Dice of a class is below `engines.UNLEARNT_DICE`, and ``missed`` runs with any such class.
        differences: of the arms from the reference: what `paired_test` gives, ``t_holm``, ``wilcoxon_holm`` and
            ``significant``.
        recipe_differences: of the recipes from the first, for each arm, with the same columns.
        reaching: how soon the runs were as good on the validation patients as the best of the reference's run with the same seed:
            ``pairs``, how many ``reached`` it, the median of their ``epochs``, and of these divided by the reference's.
        label_efficiency: how many labels the reference needs for the scores of the other arms, see `label_efficiency`.
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
    """Test differences of pairs against zero.

    With one pair there is neither test nor interval. Differences that are all zero have p = 1 in both tests. For
    differences that are all the same and not zero the t-test is not defined. Wilcoxon's test leaves zero differences out;
    with n pairs its p is at least 2 / 2ⁿ.

    Args:
        differences: one for each pair; one at least.
        confidence: of the interval of the mean difference, in (0, 1).

    Returns:
        ``pairs``, ``difference`` (the mean), ``low`` and ``high`` (its bootstrap interval), ``t_p`` and ``wilcoxon_p``
        (two-sided), and ``note``, which says why one of them is NaN.

    Examples:
        >>> paired_test(pd.Series([0.1, 0.2, 0.3]))["t_p"].round(3)
        np.float64(0.074)
    """
    values = differences.to_numpy().round(DIGITS)
    found = {"pairs": len(values), "difference": values.mean()}
    if len(values) == 1:
        return found | dict.fromkeys(("low", "high", "t_p", "wilcoxon_p"), np.nan) | {"note": "one seed: no test"}
    if not values.any():
        return found | {"low": 0.0, "high": 0.0, "t_p": 1.0, "wilcoxon_p": 1.0, "note": "all pairs are equal"}
    same = (values == values[0]).all()
    interval = mean_with_interval(values, confidence=confidence)
    return found | {
        "low": interval["low"],
        "high": interval["high"],
        "t_p": np.nan if same else stats.ttest_1samp(values, 0.0).pvalue,
        "wilcoxon_p": stats.wilcoxon(values).pvalue,
        "note": "all differences are the same: no t-test" if same else "",
    }


def holm(p_values: pd.Series) -> pd.Series:
    """Adjust the p values of a family of tests by Holm's step-down procedure (Scandinavian Journal of Statistics 6, 1979).

    Args:
        p_values: of all tests of the family; NaN is a test that could not be made and is not counted.

    Returns:
        The adjusted values, in the same order.

    Examples:
        >>> holm(pd.Series([0.04, 0.01])).tolist()
        [0.04, 0.02]
    """
    made = p_values.dropna().sort_values()
    return (made * np.arange(len(made), 0, -1)).cummax().clip(upper=1).reindex(p_values.index)


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
    """The tests of all other arms, or recipes, against the reference."""
    if over not in table or reference not in set(table[over]):
        return pd.DataFrame()
    block = [column for column in group_columns(plan) if column != over]
    scores = table.pivot(index=[*block, "seed"], columns=over, values="score")
    gains = scores.drop(columns=reference).sub(scores[reference], axis=0)
    pairs = arranged(plan, gains.melt(var_name=over, value_name="gain", ignore_index=False).dropna().reset_index())
    tests = pd.DataFrame(
        {**dict(zip([*block, over], keys, strict=True)), **paired_test(own["gain"], plan.confidence)}
        for keys, own in pairs.groupby([*block, over], observed=True)
    )
    if tests.empty:
        return tests
    tests["t_holm"], tests["wilcoxon_holm"] = holm(tests["t_p"]), holm(tests["wilcoxon_p"])
    return tests.assign(significant=tests["t_holm"] < 1 - plan.confidence)


def _reaching(plan: ComparisonPlan, table: pd.DataFrame) -> pd.DataFrame:
    block = [column for column in group_columns(plan) if column != "arm"] + ["seed"]
    reference = table[table["arm"] == plan.reference].set_index(block)["best_epoch"]
    pairs = table[table["arm"] != plan.reference].join(reference.rename("reference_epoch"), on=block)
    pairs = pairs.dropna(subset="reference_epoch").assign(
        ratio=lambda own: own["epochs_to_reference"] / own["reference_epoch"]
    )
    return (
        pairs.groupby(group_columns(plan), observed=True)
        .agg(
            pairs=("seed", "size"),
            reached=("epochs_to_reference", "count"),
            epochs=("epochs_to_reference", "median"),
            ratio=("ratio", "median"),
        )
        .reset_index()
    )
