"""Plots of a comparison: scores by label fraction, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation
from models_genesis_bundle.comparison.run_result import RunResult
from models_genesis_bundle.comparison.summary import ComparisonSummary

__all__ = ["curves_figure", "mean_curve", "scores_figure"]

LOG_RATIO = 3  # from the smallest to the largest fraction, from which on the axis is logarithmic
BESIDE = 0.15  # of the distance between two arms, from an arm's mean to its runs
MANY_ARMS = 4  # more of them have names that are written aslant


def scores_figure(summary: ComparisonSummary) -> Figure:
    """Draw the scores: a point for each run, their mean and one standard deviation.

    With several label fractions they lie along the axis, an arm is a line and the deviation a band; with one, each arm has
    a place of its own.
    """
    plan = summary.plan
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    if len(plan.label_fractions) > 1:
        _draw_by_fraction(axis, summary)
    else:
        _draw_by_arm(axis, summary)
    axis.set_ylabel(f"{plan.task.metric} (test), mean ± sd")
    axis.set_title(plan.task.name, fontsize=10)
    axis.grid(alpha=0.3)
    return figure


def curves_figure(summary: ComparisonSummary) -> Figure:
    """Draw the validation metric by epoch, a panel for each label fraction: mean and one standard deviation of each arm."""
    plan = summary.plan
    panels = len(plan.label_fractions)
    figure = Figure(figsize=(3.8 * panels, 3.4), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axis, fraction in zip(axes, plan.label_fractions, strict=True):
        for arm, style in _styles(plan):
            runs = [result for result in _runs(summary, arm) if result.run.fraction == fraction]
            if runs:
                _draw_curve(axis, arm, runs, style)
        axis.set_title(f"{100 * fraction:.4g} % of the labels", fontsize=10)
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


def _draw_by_fraction(axis: Axes, summary: ComparisonSummary) -> None:
    plan = summary.plan
    for arm, style in _styles(plan):
        entries = [entry for entry in summary.scores if entry.arm == arm]
        fractions = [entry.fraction for entry in entries]
        means = np.array([entry.scores.mean for entry in entries])
        spread = np.array([entry.scores.sd or 0.0 for entry in entries])
        axis.plot(fractions, means, marker="o", label=_label(arm), **style)
        axis.fill_between(fractions, means - spread, means + spread, color=style["color"], alpha=0.15, linewidth=0)
        runs = _runs(summary, arm)
        _draw_runs(axis, [result.run.fraction for result in runs], runs, style)
    if plan.label_fractions[-1] / plan.label_fractions[0] >= LOG_RATIO:
        axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(plan.label_fractions, [f"{100 * fraction:.4g} %" for fraction in plan.label_fractions])
    axis.set_xlabel("labelled training patients")
    axis.legend(fontsize=8)


def _draw_by_arm(axis: Axes, summary: ComparisonSummary) -> None:
    plan = summary.plan
    for place, (arm, style) in enumerate(_styles(plan)):
        for scores in [entry.scores for entry in summary.scores if entry.arm == arm]:
            axis.errorbar(place, scores.mean, scores.sd or 0.0, marker="o", capsize=4, **style)
        runs = _runs(summary, arm)
        _draw_runs(axis, [place + BESIDE] * len(runs), runs, style)
    labels = [_label(arm) for arm in plan.initialisations]
    axis.set_xticks(range(len(labels)), labels, rotation=30 if len(labels) > MANY_ARMS else 0)
    axis.set_xlabel(f"{100 * plan.label_fractions[0]:.4g} % of the training patients labelled")


def _runs(summary: ComparisonSummary, arm: Initialisation) -> list[RunResult]:
    return [result for result in summary.results if result.run.arm == arm]


def _draw_runs(axis: Axes, places: Sequence[float], runs: Sequence[RunResult], style: dict) -> None:
    axis.scatter(places, [result.score for result in runs], s=8, color=style["color"], alpha=0.6)


def _draw_curve(axis: Axes, arm: Initialisation, runs: Sequence[RunResult], style: dict) -> None:
    epochs, means, spreads = mean_curve(runs)
    axis.plot(epochs, means, label=_label(arm), **style)
    axis.fill_between(epochs, means - spreads, means + spreads, color=style["color"], alpha=0.15, linewidth=0)


def _styles(plan: ComparisonPlan) -> list[tuple[Initialisation, dict]]:
    return [
        (arm, {"color": f"C{number}", "linestyle": "--" if arm.baseline else "-"})
        for number, arm in enumerate(plan.initialisations)
    ]


def _label(arm: Initialisation) -> str:
    return f"{arm.name} (another network)" if arm.baseline else arm.name
