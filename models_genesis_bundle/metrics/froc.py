"""Free-response ROC of candidates that belong to scans, and the CPM score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from models_genesis_bundle.metrics.bootstrap import bootstrap_interval, patient_numbers
from models_genesis_bundle.metrics.operating_point import binary_scores

__all__ = ["FALSE_POSITIVES_PER_SCAN", "Froc"]

FALSE_POSITIVES_PER_SCAN = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Froc:
    """Sensitivity for lesions against false positives per scan, over all thresholds.

    A lesion is found at a threshold when one of its candidates has that score or a higher one; its further candidates
    are ignored. Each negative candidate at or above the threshold is a false positive. As in the
    LUNA16 challenge, the curve is interpolated linearly, and stays where it is after its last point. MONAI's
    ``compute_froc_curve_data`` gives the same curve but for its last point, which it leaves out, in time that grows with the
    square of the number of candidates.

    Based on: Setio et al., LUNA16, Medical Image Analysis 42 (2017), 1-13, doi:10.1016/j.media.2017.06.015.

    Args:
        labels: (n,) 1 for candidates that lie on a lesion, else 0.
        scores: (n,) higher for what looks more like a lesion.
        scans: (n,) the scan of each candidate.
        lesions: (n,) the lesion of each positive candidate, a name within its scan; None or "": a separate lesion.
            ``lesions=None``: each positive candidate is a separate lesion.
        number_of_scans: all scans, also those without candidates; None: those with candidates.
        number_of_lesions: all lesions, also those without a candidate; None: those with candidates.

    Raises:
        ValueError: when the arguments do not fit.

    Examples:
        >>> from models_genesis_bundle.metrics import Froc
        >>> froc = Froc([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], scans=["a", "a", "b", "b"])
        >>> [round(float(value), 2) for value in froc.sensitivities()]  # at 1/8, 1/4, 1/2, 1, 2, 4, 8 per scan
        [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        labels: Sequence | np.ndarray,
        scores: Sequence | np.ndarray,
        scans: Sequence[object],
        lesions: Sequence[object] | None = None,
        number_of_scans: int | None = None,
        number_of_lesions: int | None = None,
    ) -> None:
        positive, values = binary_scores(labels, scores)
        numbers = patient_numbers(scans, len(positive))
        best = _best_candidates(positive, values, numbers, lesions)
        found_scans, found_lesions = len(np.unique(numbers)), int(best.sum())
        self.number_of_scans = _total(number_of_scans, found_scans, "scans")
        self.number_of_lesions = _total(number_of_lesions, found_lesions, "lesions")
        self._missed_share = found_lesions / self.number_of_lesions if self.number_of_lesions else float("nan")
        counted = best | ~positive
        order = np.argsort(-values[counted], kind="stable")
        self._is_lesion = best[counted][order]
        self._scan = numbers[counted][order]
        ordered = values[counted][order]
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.array([], int)

    def curve(self, drawn: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """False positives per scan and sensitivity, from the strictest threshold, which finds nothing, to the loosest.

        Args:
            drawn: (number_of_scans,) how often each scan counts; None: once.

        Returns:
            Two arrays that increase. Sensitivity is NaN without lesions.
        """
        weights = np.ones(len(self._scan)) if drawn is None else drawn[self._scan].astype(float)
        lesions = np.cumsum(weights * self._is_lesion)
        false_positives = np.cumsum(weights * ~self._is_lesion)
        with_candidates = lesions[-1] if len(lesions) else 0.0
        share = self._missed_share / with_candidates if with_candidates else float("nan")
        return (
            np.append(0.0, false_positives[self._ends]) / self.number_of_scans,
            np.append(0.0, lesions[self._ends]) * share,
        )

    def sensitivities(self, drawn: np.ndarray | None = None) -> np.ndarray:
        """The sensitivities at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per scan; their mean is the CPM score."""
        return np.interp(FALSE_POSITIVES_PER_SCAN, *self.curve(drawn))

    def summary(self, confidence: float = 0.95, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, float]]:
        """The CPM score with a bootstrap interval over scans, and the sensitivities that it is the mean of.

        The fraction of lesions without a candidate is the same in each resample.

        Args:
            confidence: of the interval, 0 … 1.
            resamples: number of bootstrap samples.
            seed: of the resampling.

        Returns:
            ``cpm`` with ``mean``, ``low``, ``high``, ``n`` (scans); ``sensitivity_at_0.125_fp`` … with ``mean`` and ``n``
            (lesions).
        """
        found = self.sensitivities()
        low, high = bootstrap_interval(
            lambda drawn: float(self.sensitivities(drawn).mean()), self.number_of_scans, confidence, resamples, seed
        )
        cpm = {"mean": float(found.mean()), "low": low, "high": high, "n": self.number_of_scans}
        return {"cpm": cpm} | {
            f"sensitivity_at_{rate:g}_fp": {"mean": float(sensitivity), "n": self.number_of_lesions}
            for rate, sensitivity in zip(FALSE_POSITIVES_PER_SCAN, found, strict=True)
        }


def _best_candidates(
    positive: np.ndarray, scores: np.ndarray, scans: np.ndarray, lesions: Sequence[object] | None
) -> np.ndarray:
    """Which candidates have the highest score of their lesion."""
    if lesions is None:
        return positive
    if len(lesions) != len(positive):
        raise ValueError(f"lesions: expected one for each of {len(positive)} candidates, found {len(lesions)}.")
    order = np.argsort(-scores, kind="stable")
    order = order[positive[order]]
    names = [index if lesions[index] in (None, "") else (scans[index], str(lesions[index])) for index in order]
    best = np.zeros(len(positive), dtype=bool)
    best[order] = ~pd.Series(names, dtype=object).duplicated()
    return best


def _total(given: int | None, found: int, what: str) -> int:
    if given is None:
        return found
    if given < found:
        raise ValueError(f"number_of_{what}: expected at least the {found} {what} with candidates, found {given}.")
    return given
