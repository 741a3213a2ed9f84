"""Plots of a classification: ROC, calibration, confusion and FROC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from models_genesis_bundle.metrics import Froc, ReliabilityCurve, predicted_classes, reliability_curve
from models_genesis_bundle.metrics.froc import FALSE_POSITIVES_PER_SCAN
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay


def classification_figure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive_class: int = 1,
    threshold: float = 0.5,
    froc: Froc | None = None,
) -> Figure:
    """Draw ROC curve (with three classes or more, of each against the others), calibration, confusion and FROC curve.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes).
        class_names: names of all classes, in the order of their numbers.
        positive_class: with two classes, the number of the class to detect.
        threshold: with two classes, the smallest probability of a positive case; it is marked on the ROC curve.
        froc: the FROC curve of candidates in scans; None: no such plot.
    """
    binary = len(class_names) == 2
    figure = Figure(figsize=(4 * (3 + (froc is not None)), 3.9), layout="compressed")
    axes = figure.subplots(1, 3 + (froc is not None))
    for number in [positive_class] if binary else range(len(class_names)):
        _draw_roc(
            axes[0], labels == number, probabilities[:, number], class_names[number], threshold if binary else None
        )
    axes[0].plot([0, 1], [0, 1], ":", color="k")  # chance
    if binary:
        outcome, probability = labels == positive_class, probabilities[:, positive_class]
        of, observed = class_names[positive_class], "fraction of positives"
    else:
        outcome, probability = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
        of, observed = "the most probable class", "fraction of correct cases"
    _draw_calibration(axes[1], reliability_curve(outcome, probability))
    axes[1].set(xlabel=f"mean predicted probability\nof {of}", ylabel=observed)
    ConfusionMatrixDisplay.from_predictions(
        labels,
        predicted_classes(probabilities, positive_class, threshold),
        labels=range(len(class_names)),
        display_labels=class_names,
        cmap="Blues",
        colorbar=False,
        xticks_rotation="horizontal" if binary else 30,
        ax=axes[2],
    )
    axes[2].set(title="confusion matrix", xlabel="predicted class", ylabel="true class")
    if froc is not None:
        _draw_froc(axes[3], froc)
    return figure


def _draw_roc(axis: Axes, positive: np.ndarray, scores: np.ndarray, name: str, threshold: float | None) -> None:
    axis.set_title("ROC")
    if positive.all() or not positive.any():
        return
    RocCurveDisplay.from_predictions(positive, scores, name=name, ax=axis)
    if threshold is not None:
        called = scores >= threshold
        axis.plot(called[~positive].mean(), called[positive].mean(), "o", label=f"threshold {threshold:.3g}")
    axis.set(xlabel="1 − specificity", ylabel="sensitivity")
    axis.legend(fontsize=8, loc="lower right")


def _draw_calibration(axis: Axes, curve: ReliabilityCurve) -> None:
    axis.plot([0, 1], [0, 1], ":", color="k")
    axis.plot(curve.predicted, curve.observed, color="C0", alpha=0.3)
    axis.scatter(curve.predicted, curve.observed, 150 * curve.counts / curve.counts.max(initial=1))
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for predicted, observed, count in zip(*curve, strict=True):
        axis.annotate(
            count, (predicted, observed), (0, 8), textcoords="offset points", ha="center", fontsize=8, bbox=box
        )
    axis.set(title="calibration (numbers: cases)", aspect="equal", xlim=(-0.08, 1.08), ylim=(-0.05, 1.11))


def _draw_froc(axis: Axes, froc: Froc) -> None:
    axis.plot(*froc.curve())
    sensitivities = froc.sensitivities()
    axis.plot(FALSE_POSITIVES_PER_SCAN, sensitivities, "o", label=f"mean (CPM) = {sensitivities.mean():.2f}")
    axis.legend(fontsize=8, loc="lower right")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(FALSE_POSITIVES_PER_SCAN))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set(title="FROC", xlabel="false positives per scan", ylabel="sensitivity", ylim=(0, 1.02))
    axis.set_xlim(FALSE_POSITIVES_PER_SCAN[0] / 1.5, FALSE_POSITIVES_PER_SCAN[-1] * 1.5)
    axis.grid(alpha=0.3)
