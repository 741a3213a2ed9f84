"""Bootstrap intervals over patients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import DegenerateDataWarning, bootstrap

Patients = Sequence[object] | np.ndarray | None  # the patient of each case; None: each case is its own patient

BATCH = 200
MOST_PATIENTS_OF_BCA = 5000  # with more, BCa is slow and changes nothing


def mean_with_interval(
    values: ArrayLike, patients: Patients = None, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, float]:
    """The mean of the cases' values with a bootstrap interval.

    The interval is bias-corrected and accelerated (BCa, `scipy.stats.bootstrap`), or the percentile interval if BCa is not
    defined or there are more than 5000 patients. With ``patients``, all cases of a patient are drawn together, because they are
    correlated; an interval that treats them as independent is too narrow. The mean is always over cases.

    Based on: Efron, Better Bootstrap Confidence Intervals, J. Am. Stat. Assoc. 82 (1987), doi:10.1080/01621459.1987.10478410.

    Args:
        values: one for each case; NaN means that the case has no value: it is skipped and counted as ``missing``.
        patients: the patient of each case; None: each case is its own patient.
        confidence: confidence level of the interval, 0 … 1.
        resamples: number of bootstrap samples.
        seed: random seed of the resampling.

    Returns:
        ``mean``, ``sd`` (between cases), ``median``, ``low`` and ``high`` (the interval), ``n`` (cases with a value), ``missing``
        (cases without). All but the counts are NaN without values, ``low`` and ``high`` for one patient, ``sd`` for one value.

    Examples:
        >>> summary = mean_with_interval([0.7, 0.8, 0.8, 0.9], patients=["ana", "ana", "ben", "eva"])
        >>> round(summary["mean"], 3), summary["n"]
        (0.8, 4)
    """
    every = np.asarray(values, dtype=float)
    known = ~np.isnan(every)
    numbers = patient_numbers(patients, len(every))[known]
    found = every[known]
    counts = {"n": len(found), "missing": int((~known).sum())}
    if not len(found):
        return dict.fromkeys(("mean", "sd", "median", "low", "high"), float("nan")) | counts
    low, high = _mean_interval(found, numbers, confidence, resamples, seed)
    return {
        "mean": float(found.mean()),
        "sd": float(found.std(ddof=1)) if len(found) > 1 else float("nan"),
        "median": float(np.median(found)),
        "low": low,
        "high": high,
        **counts,
    }


def _mean_interval(
    values: np.ndarray, numbers: np.ndarray, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    _, patient = np.unique(numbers, return_inverse=True)
    if patient.max() == 0:
        return float("nan"), float("nan")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    sums, sizes = np.bincount(patient, values), np.bincount(patient).astype(float)

    def mean(drawn_sums: np.ndarray, drawn_sizes: np.ndarray, axis: int = -1) -> np.ndarray:
        return drawn_sums.sum(axis) / drawn_sizes.sum(axis)

    for method in ("BCa", "percentile") if len(sums) <= MOST_PATIENTS_OF_BCA else ("percentile",):
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", DegenerateDataWarning)
            interval = bootstrap(
                (sums, sizes),
                mean,
                paired=True,
                vectorized=True,
                confidence_level=confidence,
                n_resamples=resamples,
                method=method,
                batch=BATCH,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(interval).all():
            break
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    groups: int,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    may_be_infinite: bool = False,
) -> tuple[float, float]:
    """The percentile bootstrap interval of any metric, by resampling groups of cases (patients, scans).

    Args:
        statistic: computes the metric from how often each group is drawn, (groups,) integers; resamples with NaN are skipped.
        groups: number of groups.
        confidence: confidence level of the interval, 0 … 1.
        resamples: number of bootstrap samples.
        seed: random seed of the resampling.
        may_be_infinite: whether the metric can be infinite; then the ends are not interpolated between resamples.

    Returns:
        Both ends; NaN with fewer than two groups, or when no resample defines the metric.

    Examples:
        >>> dice = np.array([0.7, 0.8, 0.8, 0.9])
        >>> low, high = bootstrap_interval(lambda times: np.average(dice, weights=times), groups=len(dice))
        >>> low < 0.8 < high
        True
    """
    if groups < 2:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    drawn = (np.bincount(generator.integers(groups, size=groups), minlength=groups) for _ in range(resamples))
    metrics = np.array([statistic(times) for times in drawn])
    metrics = metrics[~np.isnan(metrics)]
    if not len(metrics):
        return float("nan"), float("nan")
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(metrics, ends, method="inverted_cdf" if may_be_infinite else "linear")
    return float(low), float(high)


def patient_numbers(patients: Patients, cases: int) -> np.ndarray:
    """Number the patients of cases 0, 1, …, see ``Patients``; a ``ValueError`` if there is not one patient for each case."""
    if patients is None:
        return np.arange(cases)
    if len(patients) != cases:
        raise ValueError(f"patients: expected one for each of {cases} cases, found {len(patients)}.")
    return np.unique([str(patient) for patient in patients], return_inverse=True)[1]
