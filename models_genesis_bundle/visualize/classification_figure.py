"""Pictures of a classification: ROC, calibration, confusion and FROC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from sklearn.metrics import confusion_matrix, roc_curve

from models_genesis_bundle.metrics import Froc, predicted_classes, reliability_curve
from models_genesis_bundle.metrics.froc import FALSE_POSITIVES_PER_SCAN

__all__ = ["classification_figure"]


def classification_figure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive_class: int = 1,
    threshold: float = 0.5,
    froc: Froc | None = None,
) -> Figure:
    """Draw how a classification went.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes).
        class_names: of all classes, in order.
        positive_class: with two classes, the number of the one that is looked for.
        threshold: with two classes, the probability from which a case is called positive; it is marked on the ROC curve.
        froc: drawn, too, when candidates belong to scans.

    Returns:
        The figure, not shown anywhere: ROC curve (of each class against the rest, where there are several), reliability
        curve, confusion matrix and, where it is given, FROC curve.
    """
    binary = len(class_names) == 2
    figure = Figure(figsize=(4 * (3 + (froc is not None)), 3.9), layout="constrained")
    axes = figure.subplots(1, 3 + (froc is not None))
    numbers = [positive_class] if binary else range(len(class_names))
    for number in numbers:
        _draw_roc(
            axes[0], labels == number, probabilities[:, number], class_names[number], threshold if binary else None
        )
    _finish_roc(axes[0])
    if binary:
        outcome, probability = labels == positive_class, probabilities[:, positive_class]
        of = f"probability of {class_names[positive_class]}"
    else:
        outcome, probability = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
        of = "probability of the most probable class"
    _draw_reliability(axes[1], outcome, probability, of)
    _draw_confusion(axes[2], labels, predicted_classes(probabilities, positive_class, threshold), class_names)
    if froc is not None:
        _draw_froc(axes[3], froc)
    return figure


def _draw_roc(axis: Axes, positive: np.ndarray, scores: np.ndarray, name: str, threshold: float | None) -> None:
    if positive.all() or not positive.any():
        return
    false_positives, sensitivity, _ = roc_curve(positive, scores)
    (line,) = axis.plot(false_positives, sensitivity, label=name)
    if threshold is not None:
        called = scores >= threshold
        point = called[~positive].mean(), called[positive].mean()
        axis.plot(*point, "o", color=line.get_color(), label=f"at {threshold:.3g}")


def _finish_roc(axis: Axes) -> None:
    axis.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    axis.set(title="ROC", xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axis.grid(alpha=0.3)
    if len(axis.lines) > 1:
        axis.legend(fontsize=8, loc="lower right")


def _draw_reliability(axis: Axes, outcome: np.ndarray, probability: np.ndarray, of: str) -> None:
    curve = reliability_curve(outcome, probability)
    axis.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    axis.plot(curve.predicted, curve.observed, marker=".")
    for x, y, count in zip(curve.predicted, curve.observed, curve.counts, strict=True):
        axis.annotate(str(count), (x, y), textcoords="offset points", xytext=(4, -8), fontsize=7, color="grey")
    axis.set(title="calibration (cases)", xlabel=of, ylabel="came true", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    axis.grid(alpha=0.3)


def _draw_confusion(axis: Axes, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> None:
    table = confusion_matrix(labels, predicted, labels=range(len(names)))
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{count}\n{100 * shares[row, column]:.0f} %", ha="center", va="center", color=colour)
    axis.set(title="confusion", xlabel="predicted", ylabel="label")
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names, rotation=90, va="center")


def _draw_froc(axis: Axes, froc: Froc) -> None:
    axis.plot(*froc.curve())
    axis.plot(FALSE_POSITIVES_PER_SCAN, froc.sensitivities(), "o")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(FALSE_POSITIVES_PER_SCAN))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set(title="FROC", xlabel="false positives per scan", ylabel="sensitivity", ylim=(0, 1.02))
    axis.set_xlim(FALSE_POSITIVES_PER_SCAN[0] / 1.5, FALSE_POSITIVES_PER_SCAN[-1] * 1.5)
    axis.grid(alpha=0.3)
