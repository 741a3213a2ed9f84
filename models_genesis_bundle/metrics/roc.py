"""Metrics of two classes: the area under the ROC curve, and metrics at a threshold."""

from __future__ import annotations

import numpy as np
from models_genesis_bundle.metrics.bootstrap import Patients, patient_numbers
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_curve


def binary_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Labels as booleans and scores as floats, (n,) each; a ``ValueError`` if they do not fit."""
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"Expected a score for each label, found labels {labels.shape} and scores {scores.shape}.")
    others = np.unique(labels[~np.isin(labels, (0, 1))])
    if len(others):
        raise ValueError(f"Expected labels 0 and 1, found {others[:5].tolist()} as well.")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected a number as each score, found {(~np.isfinite(scores)).sum()} NaN or infinite ones.")
    return labels.astype(bool), scores


def auc_with_interval(
    labels: ArrayLike, scores: ArrayLike, patients: Patients = None, confidence: float = 0.95
) -> dict[str, float]:
    """The area under the ROC curve with DeLong's interval.

    The variance is DeLong's, computed from midranks; with ``patients`` it is Obuchowski's for clustered data, in which cases of
    one patient are not independent. The interval is computed on the logit scale, so that it stays within 0 … 1.

    Based on: DeLong et al., Biometrics 44 (1988), 837-845; Sun and Xu, IEEE Signal Processing Letters 21 (2014), 1389-1393,
    doi:10.1109/LSP.2014.2337313; Obuchowski, Biometrics 53 (1997), 567-578.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) higher for cases that are more likely positive; ties count half.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: confidence level of the interval, 0 … 1.

    Returns:
        ``mean`` (the area), ``low``, ``high``, ``n``, ``positives``, ``negatives``. The area is NaN if all cases are of one
        class. The interval is NaN for a perfect separation, or if a class has only one patient.

    Examples:
        >>> auc_with_interval([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])["mean"]
        0.75
    """
    positive, values = binary_scores(labels, scores)
    counts = {"n": len(positive), "positives": int(positive.sum()), "negatives": int((~positive).sum())}
    if not counts["positives"] or not counts["negatives"]:
        return dict.fromkeys(("mean", "low", "high"), float("nan")) | counts
    placements = _placements(positive, values)
    area = float(placements[positive].mean())
    variance = _variance(positive, placements, patient_numbers(patients, len(positive)))
    low = high = float("nan")
    if variance > 0 and 0 < area < 1:
        width = norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (area * (1 - area))
        low, high = (float(expit(logit(area) + sign * width)) for sign in (-1, 1))
    return {"mean": area, "low": low, "high": high, **counts}


def compare_aucs(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, patients: Patients = None, confidence: float = 0.95
) -> dict[str, float]:
    """The difference of two areas under the ROC curve on the same cases, with DeLong's paired test.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        first: (n,) scores.
        second: (n,) scores of another model for the same cases, on any scale.
        patients: (n,) the patient of each case, as in ``auc_with_interval``.
        confidence: confidence level of the interval, 0 … 1.

    Returns:
        ``mean`` (first minus second), ``low``, ``high``, the two-sided ``p``, and ``n``. p is 1 if both scores rank the cases in
        the same order. Interval and p are NaN if the variance is unknown.

    Examples:
        >>> compare_aucs([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], [0.5, 0.6, 0.4, 0.9])["mean"]
        0.25
    """
    positive, one = binary_scores(labels, first)
    _, other = binary_scores(labels, second)
    counts = {"n": len(positive)}
    if positive.all() or not positive.any():
        return dict.fromkeys(("mean", "low", "high", "p"), float("nan")) | counts
    placements = _placements(positive, one) - _placements(positive, other)
    if not placements.any():
        return {"mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0} | counts
    difference = float(placements[positive].mean())
    variance = _variance(positive, placements, patient_numbers(patients, len(positive)))
    deviation = float(np.sqrt(variance)) if variance > 0 else float("nan")
    width = float(norm.ppf((1 + confidence) / 2)) * deviation
    p = float(2 * norm.sf(abs(difference) / deviation))
    return {"mean": difference, "low": difference - width, "high": difference + width, "p": p} | counts


def _placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """For each case the fraction of the other class that is ranked correctly; its mean over a class is the AUC."""
    among_all = rankdata(scores)
    placements = np.empty(len(scores))
    for same_class in (positive, ~positive):
        placements[same_class] = (among_all[same_class] - rankdata(scores[same_class])) / (~same_class).sum()
    return np.where(positive, placements, 1 - placements)


def _variance(positive: np.ndarray, placements: np.ndarray, numbers: np.ndarray) -> float:
    """Obuchowski's variance of the mean placement, from the sums of deviations of each patient in both classes."""
    deviations = placements - placements[positive].mean()
    groups = numbers.max() + 1
    sums = [np.bincount(numbers[own], deviations[own], minlength=groups) / own.sum() for own in (positive, ~positive)]
    sizes = [len(np.unique(numbers[own])) for own in (positive, ~positive)]
    if min(sizes) < 2:
        return float("nan")
    variance = sum(size / (size - 1) * (found**2).sum() for size, found in zip(sizes, sums, strict=True))
    return float(variance + 2 * groups / (groups - 1) * (sums[0] * sums[1]).sum())


def sensitivity_and_specificity(
    labels: ArrayLike, scores: ArrayLike, threshold: float, patients: Patients = None, confidence: float = 0.95
) -> dict[str, dict[str, float]]:
    """Sensitivity and specificity at a threshold.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) a case is called positive when its score is at or above ``threshold``.
        threshold: choose it on other cases, such as ``youden_threshold`` of the validation.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: confidence level of the intervals, 0 … 1.

    Returns:
        ``sensitivity`` and ``specificity``, each as ``proportion_with_interval`` gives it.
    """
    positive, values = binary_scores(labels, scores)
    right = (values >= threshold) == positive
    owners = patient_numbers(patients, len(positive))
    return {
        name: proportion_with_interval(right[own], owners[own], confidence)
        for name, own in (("sensitivity", positive), ("specificity", ~positive))
    }


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The threshold with the largest sum of sensitivity and specificity (Youden, Cancer 3 (1950), 32-35).

    Choose it on the validation cases: on the cases that it was chosen on, sensitivity and specificity look too good.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) a case is called positive at or above the threshold.

    Returns:
        The score of a case, the highest if several are equally good; NaN for a single class or if none is better than chance.

    Examples:
        >>> youden_threshold([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.9])
        0.6
    """
    positive, values = binary_scores(labels, scores)
    if positive.all() or not positive.any():
        return float("nan")
    false_positives, sensitivity, thresholds = roc_curve(positive, values)
    best = int(np.argmax(sensitivity - false_positives))
    return float(thresholds[best]) if best else float("nan")


def proportion_with_interval(hits: ArrayLike, patients: Patients = None, confidence: float = 0.95) -> dict[str, float]:
    """The fraction of cases that are hits, with Wilson's interval.

    With several cases of one patient, the number of cases in Wilson's formula is divided by the design effect: the ratio of the
    variance between patients to the binomial variance. If all cases are hits, or none, patients are counted instead of cases.

    Based on: Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212; Rao and Scott, Biometrics 48 (1992), 577-585.

    Args:
        hits: (n,) whether each case is a hit.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: confidence level of the interval, 0 … 1.

    Returns:
        ``mean`` (the fraction), ``low``, ``high``, ``n``; NaN without cases.

    Examples:
        >>> {name: round(value, 2) for name, value in proportion_with_interval([1, 1, 1, 0]).items()}
        {'mean': 0.75, 'low': 0.3, 'high': 0.95, 'n': 4}
    """
    hits = np.asarray(hits, dtype=float)
    if not len(hits):
        return dict.fromkeys(("mean", "low", "high"), float("nan")) | {"n": 0}
    share = hits.mean()
    size = _effective_size(hits, patient_numbers(patients, len(hits)))
    z = norm.ppf((1 + confidence) / 2)
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    width = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    low, high = max(centre - width, 0.0), min(centre + width, 1.0)
    return {"mean": float(share), "low": float(low), "high": float(high), "n": len(hits)}


def _effective_size(hits: np.ndarray, numbers: np.ndarray) -> float:
    _, patient = np.unique(numbers, return_inverse=True)
    groups = patient.max() + 1
    share = hits.mean()
    if groups in (1, len(hits)) or share in (0, 1):
        return float(groups)
    between = groups / (groups - 1) * (np.bincount(patient, hits - share) ** 2).sum() / len(hits) ** 2
    return float(len(hits) / max(1.0, between / (share * (1 - share) / len(hits))))
