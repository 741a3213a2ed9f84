"""Pictures of a classification: ROC, calibration, confusion and FROC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from models_genesis_bundle.metrics import Froc, predicted_classes
from models_genesis_bundle.metrics.froc import FALSE_POSITIVES_PER_SCAN
from sklearn.calibration import CalibrationDisplay
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
        froc: the FROC curve, for candidates that belong to scans; without it, there is no such plot.
    """
    binary = len(class_names) == 2
    figure = Figure(figsize=(4 * (3 + (froc is not None)), 3.9), layout="compressed")
    axes = figure.subplots(1, 3 + (froc is not None))
    for number in [positive_class] if binary else range(len(class_names)):
        _draw_roc(
            axes[0], labels == number, probabilities[:, number], class_names[number], threshold if binary else None
        )
    if binary:
        outcome, probability = labels == positive_class, probabilities[:, positive_class]
        of = f"probability of {class_names[positive_class]}"
    else:
        outcome, probability = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
        of = "probability of the most probable class"
    CalibrationDisplay.from_predictions(outcome, probability, n_bins=10, pos_label=True, ax=axes[1])
    axes[1].set(title="calibration", xlabel=of, ylabel="share of cases", aspect="equal")
    axes[1].get_legend().remove()
    ConfusionMatrixDisplay.from_predictions(
        labels,
        predicted_classes(probabilities, positive_class, threshold),
        labels=range(len(class_names)),
        display_labels=class_names,
        cmap="Blues",
        colorbar=False,
        ax=axes[2],
    )
    axes[2].set(title="confusion matrix")
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
        axis.plot(called[~positive].mean(), called[positive].mean(), "o", label=f"at {threshold:.3g}")
    axis.set(xlabel="1 − specificity", ylabel="sensitivity")
    axis.legend(fontsize=8, loc="lower right")


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
