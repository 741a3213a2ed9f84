"""The metrics of a classification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from models_genesis_bundle.metrics.bootstrap import bootstrap_interval, mean_with_interval, patient_numbers
from models_genesis_bundle.metrics.calibration import brier_scores, expected_calibration_error, reliability_curve
from models_genesis_bundle.metrics.operating_point import (
    proportion_with_interval,
    sensitivity_and_specificity,
    youden_threshold,
)
from models_genesis_bundle.metrics.roc import auc_with_interval
from sklearn.metrics import average_precision_score, roc_auc_score

__all__ = ["classification_scores", "predicted_classes"]


def predicted_classes(probabilities: np.ndarray, positive_class: int = 1, threshold: float = 0.5) -> np.ndarray:
    """The predicted class of each case.

    Args:
        probabilities: (n, classes).
        positive_class: with two classes, the one that is predicted at or above ``threshold``.
        threshold: with two classes, of the positive class's probability; with more, the most probable class is predicted.

    Returns:
        (n,) class numbers.
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    return np.where(probabilities[:, positive_class] >= threshold, positive_class, 1 - positive_class)


def classification_scores(
    labels: Sequence | np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive_class: int = 1,
    threshold: float = 0.5,
    patients: Sequence[object] | np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """The metrics of a classification, each with its interval.

    With two classes: ``auc`` (DeLong's interval), ``average_precision``, ``sensitivity``, ``specificity`` (Wilson's interval)
    of the positive class. With more, each class against the rest has these with its name appended, ``auc_<name>`` …, and
    ``auc_macro`` and ``average_precision_macro`` are the means over classes.

    Always: ``accuracy``; ``balanced_accuracy``, the mean over classes of the recall of each;
    ``brier``; ``expected_calibration_error`` of the positive class's probability, or of the most probable class's with
    several classes, without an interval, since resampling biases it. With two classes use ``youden_threshold`` as
    ``threshold`` for the evaluation of **other** cases.

    The metrics of a class without cases are NaN and left out of means over classes.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes), 0 … 1.
        class_names: of all classes, in order.
        positive_class: with two classes, the number of the class to detect.
        threshold: with two classes, the probability from which a case is called positive.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: of the intervals, 0 … 1.
        resamples: bootstrap samples of metrics that have no interval of their own.
        seed: of the bootstrap.

    Returns:
        For each metric ``mean`` (the value), ``low``, ``high``, ``n`` and further keys of the metric's own function.

    Examples:
        >>> from models_genesis_bundle.metrics import classification_scores
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
        >>> classification_scores([0, 0, 1, 1], probabilities, ["benign", "malignant"], resamples=50)["auc"]["mean"]
        0.75
    """
    labels = np.asarray(labels, dtype=int)
    owners = patient_numbers(patients, len(labels))
    predicted = predicted_classes(probabilities, positive_class, threshold)
    right = predicted == labels

    def resampled(metric: Callable[[np.ndarray], float]) -> dict[str, float]:
        """A metric of weighted cases, with an interval over patients."""
        groups = int(owners.max()) + 1 if len(owners) else 0
        low, high = bootstrap_interval(lambda drawn: metric(drawn[owners]), groups, confidence, resamples, seed)
        return {"mean": metric(np.ones(len(labels))), "low": low, "high": high, "n": len(labels)}

    binary = len(class_names) == 2
    scores: dict[str, dict[str, float]] = {}
    for number in [positive_class] if binary else range(len(class_names)):
        own, probability = labels == number, probabilities[:, number]
        called = sensitivity_and_specificity(own, predicted == number, 1, owners, confidence)
        metrics = {
            "auc": auc_with_interval(own, probability, owners, confidence),
            "average_precision": resampled(partial(_average_precision, own, probability)),
            **called,
        }
        scores |= {name if binary else f"{name}_{class_names[number]}": found for name, found in metrics.items()}
    if not binary:
        classes = [(labels == number, probabilities[:, number]) for number in range(len(class_names))]
        scores["auc_macro"] = resampled(partial(_macro, _auc, classes))
        scores["average_precision_macro"] = resampled(partial(_macro, _average_precision, classes))
    scores["accuracy"] = proportion_with_interval(right, owners, confidence)
    scores["balanced_accuracy"] = resampled(
        partial(_macro, _recall, [(labels == number, right) for number in range(len(class_names))])
    )
    scores["brier"] = mean_with_interval(
        brier_scores(labels, probabilities), owners.tolist(), confidence, resamples, seed
    )
    if binary:
        outcome, probability = labels == positive_class, probabilities[:, positive_class]
        scores["youden_threshold"] = {"mean": youden_threshold(outcome, probability), "n": len(labels)}
    else:
        outcome, probability = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1, initial=0)
    error = expected_calibration_error(reliability_curve(outcome, probability))
    scores["expected_calibration_error"] = {"mean": error, "n": len(labels)}
    return scores


def _auc(own: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    if not weights[own].any() or not weights[~own].any():
        return float("nan")
    return float(roc_auc_score(own, probability, sample_weight=weights))


def _average_precision(own: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    if not weights[own].any():
        return float("nan")
    return float(average_precision_score(own, probability, sample_weight=weights))


def _recall(own: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(right[own], weights=weights[own])) if weights[own].any() else float("nan")


def _macro(
    metric: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    classes: Sequence[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray,
) -> float:
    """A metric's mean over the classes that define it."""
    values = torch.tensor([metric(own, of_cases, weights) for own, of_cases in classes], dtype=torch.float64)
    return values.nanmean().item()
