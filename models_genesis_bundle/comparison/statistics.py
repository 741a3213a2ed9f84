"""Statistics of scores that are paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from models_genesis_bundle.metrics.bootstrap import mean_with_interval

__all__ = ["Description", "PairedTest", "describe", "holm", "paired_test"]

# Differences that only rounding tells apart are ties.
DIGITS = 12


@dataclass(frozen=True)
class Description:
    """Scores of one arm over its seeds.

    Args:
        n: number of scores.
        mean: their mean.
        sd: their standard deviation (n − 1), None for a single one.
        median: their median.
        best: the highest, or the lowest where lower is better.
    """

    n: int
    mean: float
    sd: float | None
    median: float
    best: float


@dataclass(frozen=True)
class PairedTest:
    """Scores of an arm minus those of the reference with the same seeds.

    Args:
        n: number of pairs.
        mean: mean difference.
        low: lower end of its bootstrap interval, None where there is none.
        high: upper end.
        t_p: two-sided p of the paired t-test, None where there is none.
        wilcoxon_p: two-sided p of Wilcoxon's signed-rank test, None where there is none.
        note: why something is None; empty otherwise.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    t_p: float | None
    wilcoxon_p: float | None
    note: str = ""


def describe(scores: Sequence[float], higher_is_better: bool = True) -> Description:
    """Describe one or more scores."""
    return Description(
        n=len(scores),
        mean=float(np.mean(scores)),
        sd=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        median=float(np.median(scores)),
        best=max(scores) if higher_is_better else min(scores),
    )


def paired_test(scores: Mapping[int, float], reference: Mapping[int, float], confidence: float = 0.95) -> PairedTest:
    """Compare an arm with the reference over the seeds that both have.

    With one pair there is neither test nor interval. Differences that are all zero have p = 1 in both tests. For
    differences that are all the same and not zero the t-test does not exist. Wilcoxon's test leaves zero differences out, as
    Wilcoxon did; with n pairs it can give no p below 2 / 2ⁿ.

    Args:
        scores: the arm's scores by seed.
        reference: the reference's.
        confidence: of the interval of the mean difference, in (0, 1).

    Raises:
        ValueError: when no seed is common to both.
    """
    seeds = sorted(scores.keys() & reference.keys())
    if not seeds:
        raise ValueError(f"paired_test: no seed is in both {sorted(scores)} and {sorted(reference)}.")
    differences = np.round([scores[seed] - reference[seed] for seed in seeds], DIGITS)
    mean = float(differences.mean())
    if len(seeds) == 1:
        return PairedTest(1, mean, None, None, None, None, note="one seed: no test")
    if not differences.any():
        return PairedTest(len(seeds), 0.0, 0.0, 0.0, 1.0, 1.0, note="all pairs are equal")
    wilcoxon_p = float(stats.wilcoxon(differences).pvalue)
    if np.all(differences == differences[0]):
        note = "all differences are the same: no t-test"
        return PairedTest(len(seeds), mean, mean, mean, None, wilcoxon_p, note)
    interval = mean_with_interval(differences.tolist(), confidence=confidence)
    return PairedTest(
        n=len(seeds),
        mean=mean,
        low=interval["low"],
        high=interval["high"],
        t_p=float(stats.ttest_1samp(differences, 0.0).pvalue),
        wilcoxon_p=wilcoxon_p,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for being a family, by Holm's step-down procedure (Scandinavian Journal of Statistics 6, 1979).

    Args:
        p_values: of all tests of the family; None stands for a test that could not be made and is not counted.

    Returns:
        The adjusted values, in the same places.
    """
    made = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * p))
        adjusted[place] = highest
    return adjusted
