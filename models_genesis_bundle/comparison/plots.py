"""Plots of a comparison: scores by label fraction, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, Recipe
from models_genesis_bundle.comparison.run_result import RunResult
from models_genesis_bundle.comparison.summary import ComparisonSummary

__all__ = ["curves_figure", "mean_curve", "scores_figure"]

LOG_RATIO = 3  # from the smallest to the largest fraction, from which on the axis is logarithmic
BESIDE = 0.15  # of the distance between two arms, from an arm's mean to its runs
MANY_ARMS = 4  # more of them have names that are written aslant


def scores_figure(summary: ComparisonSummary) -> Figure:
    """Draw the scores: a point for each run, their mean and one standard deviation.

    With several amounts of labels they lie along the axis, an arm of a recipe is a line and the deviation a band; with one,
    each arm of a recipe has a place of its own.
    """
    plan = summary.plan
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    if len(plan.labels) > 1:
        _draw_by_labels(axis, summary)
    else:
        _draw_by_arm(axis, summary)
    axis.set_ylabel(f"{plan.task.metric} ({plan.section}), mean ± sd")
    axis.set_title(plan.task.name, fontsize=10)
    axis.grid(alpha=0.3)
    return figure


def curves_figure(summary: ComparisonSummary) -> Figure:
    """Draw the validation metric by epoch, a panel for each condition: mean and one standard deviation of each arm."""
    plan = summary.plan
    panels = len(plan.conditions)
    figure = Figure(figsize=(3.8 * panels, 3.4), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axis, condition in zip(axes, plan.conditions, strict=True):
        for number, arm in enumerate(plan.initialisations):
            runs = [result for result in summary.results if (result.run.arm, result.run.condition) == (arm, condition)]
            if runs:
                _draw_curve(axis, arm, runs, _style(number, arm))
        axis.set_title(str(condition), fontsize=10)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"{plan.task.validation_metric}, mean ± sd")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        axes[0].legend(handles, labels, fontsize=8)
    return figure


def mean_curve(results: Sequence[RunResult]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean learning curve of runs, as far as at least half of them went.

    Beyond that, the mean would be one of the few runs that took longest. At each epoch it is over the runs that were still
    going on.

    Returns:
        Epochs, means and standard deviations (0 for a single run), (E,) each.
    """
    by_epoch: dict[int, list[float]] = {}
    for result in results:
        for epoch, value in result.curve:
            by_epoch.setdefault(epoch, []).append(value)
    kept = sorted(epoch for epoch, values in by_epoch.items() if 2 * len(values) >= len(results))
    means = [np.mean(by_epoch[epoch]) for epoch in kept]
    spreads = [np.std(by_epoch[epoch], ddof=1) if len(by_epoch[epoch]) > 1 else 0.0 for epoch in kept]
    return np.array(kept), np.array(means), np.array(spreads)


def _draw_by_labels(axis: Axes, summary: ComparisonSummary) -> None:
    labels = summary.plan.labels
    for (arm, recipe), style in _series(summary.plan):
        entries = [entry for entry in summary.scores if (entry.arm, entry.condition.recipe) == (arm, recipe)]
        amounts = [entry.condition.labels.amount for entry in entries]
        means = np.array([entry.scores.mean for entry in entries])
        spread = np.array([entry.scores.sd or 0.0 for entry in entries])
        axis.plot(amounts, means, marker="o", label=_label(arm, recipe), **style)
        axis.fill_between(amounts, means - spread, means + spread, color=style["color"], alpha=0.15, linewidth=0)
        runs = _runs(summary, arm, recipe)
        _draw_runs(axis, [result.run.condition.labels.amount for result in runs], runs, style)
    if labels[-1].amount / labels[0].amount >= LOG_RATIO:
        axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks([entry.amount for entry in labels], [entry.short for entry in labels])
    axis.set_xlabel("labelled training patients")
    axis.legend(fontsize=8)


def _draw_by_arm(axis: Axes, summary: ComparisonSummary) -> None:
    series = _series(summary.plan)
    for place, ((arm, recipe), style) in enumerate(series):
        entries = [entry for entry in summary.scores if (entry.arm, entry.condition.recipe) == (arm, recipe)]
        for scores in [entry.scores for entry in entries]:
            axis.errorbar(place, scores.mean, scores.sd or 0.0, marker="o", capsize=4, **style)
        runs = _runs(summary, arm, recipe)
        _draw_runs(axis, [place + BESIDE] * len(runs), runs, style)
    names = [_label(*entry) for entry, _ in series]
    axis.set_xticks(range(len(names)), names, rotation=30 if len(names) > MANY_ARMS else 0)
    labels = summary.plan.labels[0]
    axis.set_xlabel(f"{labels.short} {'' if labels.setting == 'shots' else 'of the '}training patients labelled")


def _runs(summary: ComparisonSummary, arm: Initialisation, recipe: Recipe) -> list[RunResult]:
    return [result for result in summary.results if (result.run.arm, result.run.condition.recipe) == (arm, recipe)]


def _draw_runs(axis: Axes, places: Sequence[float], runs: Sequence[RunResult], style: dict) -> None:
    axis.scatter(places, [result.score for result in runs], s=8, color=style["color"], alpha=0.6)


def _draw_curve(axis: Axes, arm: Initialisation, runs: Sequence[RunResult], style: dict) -> None:
    epochs, means, spreads = mean_curve(runs)
    axis.plot(epochs, means, label=_label(arm), **style)
    axis.fill_between(epochs, means - spreads, means + spreads, color=style["color"], alpha=0.15, linewidth=0)


def _series(plan: ComparisonPlan) -> list[tuple[tuple[Initialisation, Recipe], dict]]:
    pairs = product(plan.recipes, plan.initialisations)
    return [((arm, recipe), _style(number, arm)) for number, (recipe, arm) in enumerate(pairs)]


def _style(number: int, arm: Initialisation) -> dict:
    return {"color": f"C{number}", "linestyle": "--" if arm.baseline else "-"}


def _label(arm: Initialisation, recipe: Recipe | None = None) -> str:
    name = f"{arm.name}, {recipe.name}" if recipe is not None and recipe.name else arm.name
    return f"{name} (another network)" if arm.baseline else name
