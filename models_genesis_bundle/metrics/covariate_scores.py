"""Comparison of a classification with a covariate that correlates with the label."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from models_genesis_bundle.metrics.bootstrap import Patients, patient_numbers
from models_genesis_bundle.metrics.roc import auc_with_interval, binary_scores, compare_aucs
from numpy.typing import ArrayLike

CALIPER_IN_SD = 0.2


def matched_pairs(labels: ArrayLike, covariate: ArrayLike, caliper: float | None = None, seed: int = 0) -> np.ndarray:
    """Pair positive and negative cases 1:1 by the nearest covariate, each case at most once.

    In random order, each case of the rarer class is paired with the nearest free case of the other class, if it is within the
    caliper. Cases without a covariate (NaN) are not paired.

    Based on: Austin, Pharmaceutical Statistics 10 (2011), 150-161, doi:10.1002/pst.433, also the source of the default caliper.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        covariate: (n,) the value to match, such as a diameter in mm.
        caliper: largest difference in a pair, in the covariate's unit; None: 0.2 standard deviations of the covariate.
        seed: random seed of the order.

    Returns:
        (pairs, 2), the numbers of the positive and of the negative case of each pair.
    """
    positive, values = np.asarray(labels).astype(bool), np.asarray(covariate, dtype=float)
    known = ~np.isnan(values)
    if caliper is None:
        caliper = CALIPER_IN_SD * float(values[known].std()) if known.any() else 0.0
    groups = [np.flatnonzero(known & own) for own in (positive, ~positive)]
    rarer = int(len(groups[1]) < len(groups[0]))
    left = sorted((float(values[index]), int(index)) for index in groups[1 - rarer])
    pairs = []
    for index in np.random.default_rng(seed).permutation(groups[rarer]):
        value = float(values[index])
        place = bisect_left(left, (value, -1))
        neighbours = left[max(place - 1, 0) : place + 1]
        nearest = min(neighbours, key=lambda other: abs(other[0] - value), default=(np.inf, -1))
        if abs(nearest[0] - value) <= caliper:
            left.remove(nearest)
            pairs.append((nearest[1], index) if rarer else (index, nearest[1]))
    return np.array(pairs, dtype=int).reshape(-1, 2)


def covariate_scores(
    labels: ArrayLike,
    scores: ArrayLike,
    covariate: ArrayLike,
    name: str,
    patients: Patients = None,
    confidence: float = 0.95,
    caliper: float | None = None,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compare a classification with a covariate alone, and among cases that are matched by the covariate.

    For example, the diameter of a nodule alone separates most malignant cases, so that a network that only measures it looks
    good. Cases without a covariate are excluded from these metrics, and counted as ``missing``.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) scores of the classification.
        covariate: (n,) a number for each case, higher for more positive cases; NaN if unknown.
        name: name of the covariate.
        patients: (n,) the patient of each case; None: each case is its own patient.
        confidence: confidence level of the intervals, 0 … 1.
        caliper: largest difference in a matched pair; see ``matched_pairs``.
        seed: random seed of the matching.

    Returns:
        ``auc_of_<name>``: area under the ROC curve of the covariate; ``auc_gain_over_<name>``: area of the classification minus
        that, on the same cases, with DeLong's test; ``auc_matched_by_<name>``: area of the classification among pairs of a
        positive and a negative case with similar covariates; ``auc_of_<name>_matched``: area of the covariate among these pairs,
        near 0.5 if they are well matched.
    """
    positive, values = binary_scores(labels, scores)
    numbers = np.asarray(covariate, dtype=float)
    owners = patient_numbers(patients, len(positive))
    known = ~np.isnan(numbers)
    missing = {"missing": int((~known).sum())}
    matched = matched_pairs(positive, numbers, caliper, seed).ravel()
    return {
        f"auc_of_{name}": auc_with_interval(positive[known], numbers[known], owners[known], confidence) | missing,
        f"auc_gain_over_{name}": compare_aucs(positive[known], values[known], numbers[known], owners[known], confidence)
        | missing,
        f"auc_matched_by_{name}": auc_with_interval(positive[matched], values[matched], owners[matched], confidence),
        f"auc_of_{name}_matched": auc_with_interval(positive[matched], numbers[matched], owners[matched], confidence),
    }
