"""The area under the ROC curve, with its interval, and the comparison of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from models_genesis_bundle.metrics.bootstrap import patient_numbers
from models_genesis_bundle.metrics.operating_point import binary_scores
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

__all__ = ["auc_with_interval", "compare_aucs"]


def auc_with_interval(
    labels: Sequence | np.ndarray,
    scores: Sequence | np.ndarray,
    patients: Sequence[object] | np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, float]:
    """The area under the ROC curve with DeLong's interval.

    The variance is DeLong's, computed from midranks; with ``patients`` it is Obuchowski's for clustered data, which lets the
    cases of one patient depend on each other and is DeLong's where each patient has one case. The interval is made on the
    logit scale, so that it stays within 0 … 1.

    Based on: DeLong et al., Biometrics 44 (1988), 837-845; Sun and Xu, IEEE Signal Processing Letters 21 (2014), 1389-1393,
    doi:10.1109/LSP.2014.2337313; Obuchowski, Biometrics 53 (1997), 567-578.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) higher for what looks more positive; ties count half.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: of the interval, 0 … 1.

    Returns:
        ``mean`` (the area), ``low``, ``high``, ``n``, ``positives``, ``negatives``. The area is NaN if all cases are
        of one class. The interval is NaN for a perfect separation, or one patient in a class.

    Raises:
        ValueError: for labels and scores that do not fit.

    Examples:
        >>> from models_genesis_bundle.metrics import auc_with_interval
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
    labels: Sequence | np.ndarray,
    first: Sequence | np.ndarray,
    second: Sequence | np.ndarray,
    patients: Sequence[object] | np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, float]:
    """The difference of two areas under the ROC curve on the same cases, with DeLong's paired test.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        first: (n,) scores.
        second: (n,) scores of another model for the same cases, on any scale.
        patients: (n,) the patient of each case, as in ``auc_with_interval``.
        confidence: of the interval, 0 … 1.

    Returns:
        ``mean`` (first minus second), ``low``, ``high``, the two-sided ``p``, and ``n``. Scores that rank the cases alike
        have p = 1; where the variance is not known the interval and p are NaN.

    Raises:
        ValueError: for labels and scores that do not fit.

    Examples:
        >>> from models_genesis_bundle.metrics import compare_aucs
        >>> compare_aucs([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], [0.5, 0.6, 0.4, 0.9])["mean"]
        0.25
    """
    positive, one = binary_scores(labels, first)
    _, other = binary_scores(labels, second)
    if positive.all() or not positive.any():
        return dict.fromkeys(("mean", "low", "high", "p"), float("nan")) | {"n": len(positive)}
    placements = _placements(positive, one) - _placements(positive, other)
    difference = float(placements[positive].mean())
    if not placements.any():
        return {"mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "n": len(positive)}
    variance = _variance(positive, placements, patient_numbers(patients, len(positive)))
    deviation = np.sqrt(variance) if variance > 0 else float("nan")
    width = norm.ppf((1 + confidence) / 2) * deviation
    return {
        "mean": difference,
        "low": float(difference - width),
        "high": float(difference + width),
        "p": float(2 * norm.sf(abs(difference) / deviation)),
        "n": len(positive),
    }


def _placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """For each case the fraction of the other class that it ranks correctly against; their mean over a class is the AUC."""
    among_all = rankdata(scores)
    placements = np.empty(len(scores))
    for own, sign in ((positive, 1), (~positive, -1)):
        below = (among_all[own] - rankdata(scores[own])) / (~own).sum()
        placements[own] = below if sign > 0 else 1 - below
    return placements


def _variance(positive: np.ndarray, placements: np.ndarray, numbers: np.ndarray) -> float:
    """Obuchowski's variance of the mean placement, from each patient's sum of deviations in either class."""
    deviations = placements - placements[positive].mean()
    groups = numbers.max() + 1
    sums = [np.bincount(numbers[own], deviations[own], minlength=groups) / own.sum() for own in (positive, ~positive)]
    sizes = [len(np.unique(numbers[own])) for own in (positive, ~positive)]
    if min(sizes) < 2:
        return float("nan")
    variance = sum(size / (size - 1) * (found**2).sum() for size, found in zip(sizes, sums, strict=True))
    return float(variance + 2 * groups / (groups - 1) * (sums[0] * sums[1]).sum())
