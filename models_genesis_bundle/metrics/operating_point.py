"""Metrics of a classification at one threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from models_genesis_bundle.metrics.bootstrap import patient_numbers
from scipy.stats import norm
from sklearn.metrics import roc_curve

__all__ = ["binary_scores", "proportion_with_interval", "sensitivity_and_specificity", "youden_threshold"]


def binary_scores(labels: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as booleans and scores as floats, (n,) each.

    Raises:
        ValueError: when the numbers of labels and scores differ, a label is neither 0 nor 1, or a score is no number.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"Expected a score for each label, found labels {labels.shape} and scores {scores.shape}.")
    others = np.unique(labels[~np.isin(labels, (0, 1))])
    if len(others):
        raise ValueError(f"Expected labels 0 and 1, found {others[:5].tolist()} as well.")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected a number as each score, found {(~np.isfinite(scores)).sum()} NaN or infinite ones.")
    return labels.astype(bool), scores


def sensitivity_and_specificity(
    labels: Sequence | np.ndarray,
    scores: Sequence | np.ndarray,
    threshold: float,
    patients: Sequence[object] | np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, dict[str, float]]:
    """Sensitivity and specificity at a threshold.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) a case is called positive when its score is at or above ``threshold``.
        threshold: choose it on other cases, such as ``youden_threshold`` of the validation.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: of the intervals, 0 … 1.

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


def youden_threshold(labels: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> float:
    """The threshold with the largest sum of sensitivity and specificity (Youden, Cancer 3 (1950), 32-35).

    Choose it on the validation cases: on the cases that it was chosen on, sensitivity and specificity look too good.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,)

    Returns:
        The score of a case, the highest if several are equally good; NaN when all cases are of one class or no
        threshold is better than chance.

    Examples:
        >>> from models_genesis_bundle.metrics import youden_threshold
        >>> youden_threshold([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.9])
        0.6
    """
    positive, values = binary_scores(labels, scores)
    if positive.all() or not positive.any():
        return float("nan")
    false_positives, sensitivity, thresholds = roc_curve(positive, values)
    best = int(np.argmax(sensitivity - false_positives))
    return float(thresholds[best]) if best else float("nan")


def proportion_with_interval(
    hits: Sequence | np.ndarray, patients: Sequence[object] | np.ndarray | None = None, confidence: float = 0.95
) -> dict[str, float]:
    """A share of cases with Wilson's interval.

    With several cases of one patient, the number of cases in Wilson's formula is divided by the design effect, the ratio of the
    variance between patients to the binomial one; if all cases are hits, or none, patients are counted instead of
    cases.

    Based on: Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212; Rao and Scott, Biometrics 48 (1992), 577-585.

    Args:
        hits: (n,) whether each case is one.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: of the interval, 0 … 1.

    Returns:
        ``mean`` (the share), ``low``, ``high``, ``n``; NaN without cases.

    Examples:
        >>> from models_genesis_bundle.metrics import proportion_with_interval
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
    return {
        "mean": float(share),
        "low": float(max(centre - width, 0.0)),
        "high": float(min(centre + width, 1.0)),
        "n": len(hits),
    }


def _effective_size(hits: np.ndarray, numbers: np.ndarray) -> float:
    _, own = np.unique(numbers, return_inverse=True)
    groups = own.max() + 1
    share = hits.mean()
    if groups in (1, len(hits)) or share in (0, 1):
        return float(groups)
    between = groups / (groups - 1) * (np.bincount(own, hits - share) ** 2).sum() / len(hits) ** 2
    return float(len(hits) / max(1.0, between / (share * (1 - share) / len(hits))))
