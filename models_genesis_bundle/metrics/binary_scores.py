"""What every figure of a binary classification starts from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["binary_scores"]


def binary_scores(labels: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as booleans and scores as floats, checked.

    Args:
        labels: (n,) 1 or true for positive cases, 0 or false for negative ones.
        scores: (n,) higher for what looks more positive.

    Raises:
        ValueError: when the numbers of labels and scores differ, a label is neither 0 nor 1, or a score is no number.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"Expected a score for each label, found labels {labels.shape} and scores {scores.shape}.")
    others = np.unique(labels[~np.isin(labels, (0, 1))])
    if len(others):
        raise ValueError(f"Expected labels 0 and 1, found {others[:5].tolist()}, too.")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected a number as each score, found {(~np.isfinite(scores)).sum()} NaN or infinite ones.")
    return labels.astype(bool), scores
