"""Whether a classification knows more than a covariate that follows the label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_genesis_bundle.metrics.binary_scores import binary_scores
from models_genesis_bundle.metrics.bootstrap import patient_numbers
from models_genesis_bundle.metrics.matching import matched_pairs
from models_genesis_bundle.metrics.roc import auc_with_interval, compare_aucs

__all__ = ["covariate_scores"]


def covariate_scores(
    labels: Sequence | np.ndarray,
    scores: Sequence | np.ndarray,
    covariate: Sequence | np.ndarray,
    name: str,
    patients: Sequence[object] | np.ndarray | None = None,
    confidence: float = 0.95,
    caliper: float | None = None,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compare a classification with a covariate alone, and look at it where the covariate tells nothing.

    Malignancy, for one, follows a nodule's size: the diameter alone separates most cases, and a network that does little
    more than measure it looks good. Cases without a covariate are left out of these figures, and counted as ``missing``.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        scores: (n,) of the classification.
        covariate: (n,) a number of each case, higher for what looks more positive; NaN where not known.
        name: of the covariate.
        patients: (n,) whom each case belongs to; None: to a patient of its own.
        confidence: of the intervals, 0 … 1.
        caliper: largest difference in a matched pair; see ``matched_pairs``.
        seed: of the matching.

    Returns:
        ``auc_of_<name>``: the covariate's own area under the ROC curve; ``auc_gain_over_<name>``: the classification's
        minus that, on the same cases, with DeLong's test; ``auc_matched_by_<name>``: the classification's among pairs of a
        positive and a negative case of like covariate; ``auc_of_<name>_matched``: the covariate's own there, which must be
        near 0.5 for the pairs to be alike.
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
