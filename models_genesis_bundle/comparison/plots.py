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

LOG_RATIO = 3  # from the fewest to the most labels, from which on the axis is logarithmic
TO_THE_RIGHT = 0.15  # of the distance between two arms, from an arm's mean to its runs
MEAN_AND_SD = "mean ± standard deviation"
MANY_ARMS = 4  # with more arms their names are rotated


def scores_figure(plan: ComparisonPlan, table: pd.DataFrame) -> Figure:
    """Draw the scores: a point for each run of a table, see `results_table`, their mean and one standard deviation.

    With several amounts of labels the axis shows them, each arm of a recipe is a line and the deviation a band; with one
    amount, each arm of a recipe has its own place on the axis.
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
        rotated: dict[str, Any] = (
            {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(names) > MANY_ARMS else {}
        )
        axis.set_xticks(range(len(names)), names, **rotated)
        axis.set_xlabel(f"{plan.labels[0].short} {'' if plan.shots else 'of the '}training patients labelled")
    axis.set_ylabel(f"{plan.task.metric.replace('_', ' ')} ({plan.section})\n{MEAN_AND_SD}")
    axis.set_title(plan.task.name, fontsize=10)
    axis.grid(alpha=0.3)
    return figure


def curves_figure(plan: ComparisonPlan, table: pd.DataFrame) -> Figure:
    """Draw the validation metric by epoch: mean and one standard deviation of each arm.

    There is a column for each amount of labels and a row for each recipe.
    """
    labels, recipes = plan.labels, list(plan.recipes) or [""]
    figure = Figure(figsize=(3.8 * len(labels) + 1.5, 3.4 * len(recipes)), layout="constrained")
    axes = figure.subplots(len(recipes), len(labels), sharey=True, squeeze=False)
    for axis, (recipe, own) in zip(axes.flat, product(recipes, labels), strict=True):
        for place, arm in enumerate(plan.initialisations):
            runs = _runs(table, arm=arm, recipe=recipe, **{group_columns(plan)[0]: own.amount})
            if len(runs):
                mean, sd = mean_curve(runs["curve"])
                _draw_band(axis, mean, sd, marker=".", label=_label(plan, arm), **_style(plan, arm, place))
        axis.set_title(f"{own}, {recipe}" if recipe else str(own), fontsize=10)
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
    """Mean and standard deviation (0 for a single run) by epoch of the validation metrics of runs.

    They are over the runs that reached the epoch, and end where fewer than half of the runs did.
    """
    runs = pd.concat(list(curves), axis=1).sort_index()
    runs = runs[2 * runs.count(axis=1) >= runs.shape[1]]
    return runs.mean(axis=1), runs.std(axis=1).fillna(0)


def _runs(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows with these values; columns that the table lacks are ignored."""
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
