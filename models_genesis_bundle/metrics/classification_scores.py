"""The metrics of a classification, and the calibration of its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from models_genesis_bundle.metrics.bootstrap import Patients, bootstrap_interval, mean_with_interval, patient_numbers
from models_genesis_bundle.metrics.roc import (
    auc_with_interval,
    binary_scores,
    proportion_with_interval,
    sensitivity_and_specificity,
    youden_threshold,
)
from monai.metrics.calibration import calibration_binning
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score


def predicted_classes(probabilities: np.ndarray, positive_class: int = 1, threshold: float = 0.5) -> np.ndarray:
    """The predicted class of each case, (n,) class numbers.

    Args:
        probabilities: (n, classes).
        positive_class: with two classes, the class that is predicted at or above ``threshold``.
        threshold: with two classes, the threshold of the positive class's probability. With more, the most probable class.
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    return np.where(probabilities[:, positive_class] >= threshold, positive_class, 1 - positive_class)


def classification_scores(
    labels: ArrayLike,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive_class: int = 1,
    threshold: float = 0.5,
    patients: Patients = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """The metrics of a classification, each with its interval.

    With two classes: ``auc`` (DeLong's interval), ``average_precision``, ``sensitivity``, ``specificity`` (Wilson's interval) of
    the positive class. With more, each class against the rest has these metrics with its name, ``auc_<name>`` …, and
    ``auc_macro`` and ``average_precision_macro`` are means over classes.

    Always: ``accuracy``; ``balanced_accuracy``, the mean recall of the classes; ``brier``; ``expected_calibration_error`` of the
    positive class's probability, or with several classes of the most probable class's, without an interval, because resampling
    biases it. With two classes, ``youden_threshold`` is a ``threshold`` for the evaluation of **other** cases. The metrics of a
    class without cases are NaN and excluded from means over classes.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes), 0 … 1.
        class_names: names of all classes, in the order of their numbers.
        positive_class: with two classes, the number of the class to detect.
        threshold: with two classes, the probability from which a case is called positive.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: confidence level of the intervals, 0 … 1.
        resamples: number of bootstrap samples of metrics without a closed-form interval.
        seed: random seed of the bootstrap.

    Returns:
        For each metric ``mean`` (the value), ``low``, ``high``, ``n`` and further keys of the metric's own function.

    Examples:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
        >>> classification_scores([0, 0, 1, 1], probabilities, ["benign", "malignant"], resamples=50)["auc"]["mean"]
        0.75
    """
    labels = np.asarray(labels, dtype=int)
    owners = patient_numbers(patients, len(labels))
    groups = len(np.unique(owners))
    predicted = predicted_classes(probabilities, positive_class, threshold)
    right = predicted == labels

    def resampled(metric: Callable[..., float], *arguments: object) -> dict[str, float]:
        """A metric of arguments and the cases' weights, with an interval over patients."""
        of_weights = partial(metric, *arguments)
        low, high = bootstrap_interval(lambda drawn: of_weights(drawn[owners]), groups, confidence, resamples, seed)
        return {"mean": of_weights(np.ones(len(labels))), "low": low, "high": high, "n": len(labels)}

    binary = len(class_names) == 2
    classes = [(labels == number, probabilities[:, number]) for number in range(len(class_names))]
    scores: dict[str, dict[str, float]] = {}
    for number in [positive_class] if binary else range(len(class_names)):
        ending = "" if binary else f"_{class_names[number]}"
        own, probability = classes[number]
        called = sensitivity_and_specificity(own, predicted == number, 1, owners, confidence)
        scores[f"auc{ending}"] = auc_with_interval(own, probability, owners, confidence)
        scores[f"average_precision{ending}"] = resampled(_average_precision, own, probability)
        scores |= {f"{name}{ending}": found for name, found in called.items()}
    if not binary:
        scores["auc_macro"] = resampled(_macro, _auc, classes)
        scores["average_precision_macro"] = resampled(_macro, _average_precision, classes)
    scores["accuracy"] = proportion_with_interval(right, owners, confidence)
    scores["balanced_accuracy"] = resampled(_macro, _recall, [(own, right) for own, _ in classes])
    scores["brier"] = mean_with_interval(brier_scores(labels, probabilities), owners, confidence, resamples, seed)
    if binary:
        outcome, probability = classes[positive_class]
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


def _macro(metric: Callable[..., float], classes: Sequence[tuple[np.ndarray, ...]], weights: np.ndarray) -> float:
    """The mean of a metric over the classes for which it is defined."""
    values = torch.tensor([metric(*of_class, weights) for of_class in classes], dtype=torch.float64)
    return values.nanmean().item()


class ReliabilityCurve(NamedTuple):
    """Bins of equal width that contain at least one case.

    Attributes:
        predicted: mean probability of the cases in each bin.
        observed: fraction of these cases with outcome 1.
        counts: number of these cases.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray


def reliability_curve(outcomes: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> ReliabilityCurve:
    """Observed frequency by predicted probability, with MONAI's ``calibration_binning``.

    Args:
        outcomes: (n,) 1 for a case of the positive class or, with several classes, a correct most probable class; else 0.
        probabilities: (n,) predicted probabilities of the outcome, 0 … 1.
        bins: number of bins, all of equal width.
    """
    came_true, probabilities = binary_scores(outcomes, probabilities)
    arrays = (torch.as_tensor(array, dtype=torch.float32)[None, None] for array in (probabilities, came_true))
    predicted, observed, counts = (found[0, 0].numpy().astype(float) for found in calibration_binning(*arrays, bins))
    held = counts > 0
    return ReliabilityCurve(predicted[held], observed[held], counts[held].astype(int))


def expected_calibration_error(curve: ReliabilityCurve) -> float:
    """The distance of a reliability curve from the diagonal, 0 … 1, a mean over cases; NaN without cases.

    It depends on the bins. With few cases in them it is above 0 by chance.

    Based on: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.

    Examples:
        >>> from models_genesis_bundle.metrics import reliability_curve
        >>> round(expected_calibration_error(reliability_curve([0, 1, 1, 1], [0.55, 0.55, 0.95, 0.95])), 3)
        0.05
    """
    if not len(curve.counts):
        return float("nan")
    return float(np.average(np.abs(curve.predicted - curve.observed), weights=curve.counts))


def brier_scores(labels: ArrayLike, probabilities: np.ndarray) -> np.ndarray:
    """The squared error of each case's probabilities; their mean is the Brier score.

    Based on: Brier, Monthly Weather Review 78 (1950), 1-3; halved, so that two classes give (p − y)², as is usual.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes).

    Returns:
        (n,) from 0 (certain and correct) to 1 (certain and wrong).

    Examples:
        >>> brier_scores([1, 0], np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [0.25, 0.0]
    """
    wanted = np.eye(probabilities.shape[1])[np.asarray(labels, dtype=int)]
    return ((probabilities - wanted) ** 2).sum(axis=1) / 2
