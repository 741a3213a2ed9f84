"""Pairs of a positive and a negative case that are alike in something else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

__all__ = ["matched_pairs"]

CALIPER_IN_SD = 0.2


def matched_pairs(
    labels: Sequence | np.ndarray, covariate: Sequence | np.ndarray, caliper: float | None = None, seed: int = 0
) -> np.ndarray:
    """Pair positive and negative cases 1:1 by the nearest covariate, each case at most once.

    The cases of the rarer class are taken in random order; each gets the nearest case of the other class that is left,
    unless that lies further away than the caliper. Cases without a covariate (NaN) get no partner.

    Based on: Austin, Pharmaceutical Statistics 10 (2011), 150-161, doi:10.1002/pst.433, from where the default caliper is.

    Args:
        labels: (n,) 1 for positive cases, 0 for negative ones.
        covariate: (n,) what shall be alike, such as a diameter in mm.
        caliper: largest difference in a pair, in the covariate's unit; None: 0.2 standard deviations of the covariate.
        seed: of the order.

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
        nearest = min((place - 1, place), key=lambda at: abs(left[at][0] - value) if 0 <= at < len(left) else np.inf)
        if 0 <= nearest < len(left) and abs(left[nearest][0] - value) <= caliper:
            partner = left.pop(nearest)[1]
            pairs.append((partner, index) if rarer else (index, partner))
    return np.array(pairs, dtype=int).reshape(-1, 2)
