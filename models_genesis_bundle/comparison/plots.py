"""Plots of a comparison: scores by amount of labels, and learning curves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.results import group_columns
from models_genesis_bundle.visualize.colours import COLOURS

LOG_RATIO = 3  # smallest ratio of the most to the fewest labels for a logarithmic axis
TO_THE_RIGHT = 0.15  # distance of an arm's runs from its mean, as a fraction of the distance between two arms
MEAN_AND_SD = "mean ± standard deviation"
MANY_ARMS = 4  # with more arms, their names are rotated


def scores_figure(plan: ComparisonPlan, table: pd.DataFrame) -> Figure:
    """Draw the score of each run in a table (see `results_table`), and the mean and standard deviation of each arm.

    With several amounts of labels, these are on the horizontal axis, and each arm is a line with a band. With one amount, the
    arms are on the axis.
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    series = list(product(plan.recipes or [""], plan.initialisations))
    names = [_label(plan, arm, recipe) for recipe, arm in series]
    by_labels = len(plan.labels) > 1
    for place, ((recipe, arm), name) in enumerate(zip(series, names, strict=True)):
        runs = _runs(table, arm=arm, recipe=recipe)
        if runs.empty:
            continue
        style = _style(plan, arm, place)
        amounts = runs[group_columns(plan)[0]] if by_labels else pd.Series(place, runs.index)
        scores = runs["score"].groupby(amounts)
        mean, sd = scores.mean(), scores.std().fillna(0)
        if by_labels:
            _draw_band(axis, mean, sd, marker="o", label=name, **style)
        else:
            axis.errorbar(mean.index, mean, sd, marker="o", capsize=4, **style)
        axis.scatter(amounts + (0 if by_labels else TO_THE_RIGHT), runs["score"], s=8, color=style["color"], alpha=0.6)
    if by_labels:
        if plan.labels[-1].amount / plan.labels[0].amount >= LOG_RATIO:
            axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks([labels.amount for labels in plan.labels], [labels.short for labels in plan.labels])
        axis.set_xlabel("labelled training patients")
        if axis.lines:
            axis.legend(fontsize=8)
    else:
        rotated: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        axis.set_xticks(range(len(names)), names, **rotated if len(names) > MANY_ARMS else {})
        axis.set_xlabel(f"{plan.labels[0].short} {'' if plan.shots else 'of the '}training patients labelled")
    axis.set_ylabel(f"{plan.task.metric.replace('_', ' ')} ({plan.section})\n{MEAN_AND_SD}")
    axis.set_title(plan.task.name, fontsize=10)
    axis.grid(alpha=0.3)
    return figure


def curves_figure(plan: ComparisonPlan, table: pd.DataFrame) -> Figure:
    """Draw the mean and standard deviation of the validation metric of each arm by epoch.

    There is a column for each amount of labels and a row for each recipe.
    """
    rows, columns = len(plan.recipes) or 1, len(plan.labels)
    figure = Figure(figsize=(3.8 * columns + 1.5, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis, (recipe, labels) in zip(axes.flat, product(plan.recipes or [""], plan.labels), strict=True):
        for place, arm in enumerate(plan.initialisations):
            runs = _runs(table, arm=arm, recipe=recipe, **{group_columns(plan)[0]: labels.amount})
            if len(runs):
                mean, sd = mean_curve(runs["curve"])
                _draw_band(axis, mean, sd, marker=".", label=_label(plan, arm), **_style(plan, arm, place))
        axis.set_title(f"{labels}, {recipe}" if recipe else str(labels), fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{plan.task.validation_metric.replace('_', ' ')}\n{MEAN_AND_SD}")
    arms = {name: line for axis in axes.flat for line, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    if arms:
        figure.legend(arms.values(), arms.keys(), loc="outside right upper", fontsize=8)
    return figure


def mean_curve(curves: Iterable[pd.Series]) -> tuple[pd.Series, pd.Series]:
    """The mean of learning curves by epoch, and their standard deviation (0 for a single run).

    They include the runs that reached an epoch, and end where fewer than half of the runs reached it.
    """
    runs = pd.concat(list(curves), axis=1).sort_index()
    runs = runs[2 * runs.count(axis=1) >= runs.shape[1]]
    return runs.mean(axis=1), runs.std(axis=1).fillna(0)


def _runs(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows with these values; columns that the table does not have are ignored."""
    for name, value in values.items():
        table = table[table[name] == value] if name in table else table
    return table


def _draw_band(axis: Axes, mean: pd.Series, sd: pd.Series, color: str, **style: Any) -> None:
    axis.plot(mean.index, mean, color=color, **style)
    axis.fill_between(mean.index, mean - sd, mean + sd, color=color, alpha=0.15, linewidth=0)


def _style(plan: ComparisonPlan, arm: str, place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": "--" if plan.initialisations[arm].baseline else "-"}


def _label(plan: ComparisonPlan, arm: str, recipe: str = "") -> str:
    name = f"{arm}, {recipe}" if recipe else arm
    return f"{name} (another network)" if plan.initialisations[arm].baseline else name
