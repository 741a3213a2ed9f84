"""How much vectors change with changes of their cubes that mean nothing."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

__all__ = ["stability"]


def stability(vectors: np.ndarray, changed: np.ndarray) -> dict[str, np.ndarray]:
    """Compare vectors of cubes with those of the same cubes, changed.

    Both are standardised by the mean and the standard deviation of the unchanged ones. The raw vectors of any network, a random
    one too, point in nearly one direction, and their cosines would be near 1 whatever was done.

    Args:
        vectors: (n, D).
        changed: (n, D).

    Returns:
        ``cosine`` (n,): between each vector and its changed one, -1 … 1; ``rank correlation`` (n,): Spearman's, between their
        numbers. NaN where a vector is the mean of all.
    """
    spread = vectors.std(0)
    varying = spread > 0
    one, other = ((values[:, varying] - vectors.mean(0)[varying]) / spread[varying] for values in (vectors, changed))
    ranks = [rankdata(values, axis=1) for values in (one, other)]
    first, second = (values - values.mean(1, keepdims=True) for values in ranks)
    return {"cosine": _cosine(one, other), "rank correlation": _cosine(first, second)}


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(1), lengths, out=np.full(len(one), np.nan), where=lengths > 0)
