"""Free-response ROC of candidates in scans, and the CPM score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from models_genesis_bundle.metrics.bootstrap import bootstrap_interval, patient_numbers
from models_genesis_bundle.metrics.roc import binary_scores
from numpy.typing import ArrayLike

FALSE_POSITIVES_PER_SCAN = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Froc:
    """Sensitivity for lesions against false positives per scan, over all thresholds.

    A lesion is found at a threshold if the score of at least one of its candidates reaches the threshold; its other candidates
    are ignored. Each negative candidate at or above the threshold is a false positive. As in the LUNA16 challenge, the curve is
    interpolated linearly, and is constant after its last point.

    Based on: Setio et al., LUNA16, Medical Image Analysis 42 (2017), 1-13, doi:10.1016/j.media.2017.06.015.

    Args:
        labels: (n,) 1 for candidates on a lesion, else 0.
        scores: (n,) higher for candidates that are more like a lesion.
        scans: (n,) the scan of each candidate.
        lesions: (n,) the lesion of each positive candidate, a name within its scan; for None or "" the candidate is a separate
            lesion. ``lesions=None``: each positive candidate is a separate lesion.
        number_of_scans: all scans, also those without candidates; None: those with candidates.
        number_of_lesions: all lesions, also those without a candidate; None: those with candidates.

    Raises:
        ValueError: when the arguments do not fit.

    Examples:
        >>> froc = Froc([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], scans=["a", "a", "b", "b"])
        >>> [round(float(value), 2) for value in froc.sensitivities()]  # at 1/8, 1/4, 1/2, 1, 2, 4, 8 per scan
        [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        labels: ArrayLike,
        scores: ArrayLike,
        scans: Sequence[object],
        lesions: Sequence[object] | None = None,
        number_of_scans: int | None = None,
        number_of_lesions: int | None = None,
    ) -> None:
        positive, values = binary_scores(labels, scores)
        numbers = patient_numbers(scans, len(positive))
        order = np.argsort(-values, kind="stable")
        if lesions is not None:
            if len(lesions) != len(positive):
                raise ValueError(f"lesions: expected one for each of {len(positive)} candidates, found {len(lesions)}.")
            named = [positive[index] and lesions[index] not in (None, "") for index in order]
            names = [(numbers[i], str(lesions[i])) if own else i for i, own in zip(order, named, strict=True)]
            order = order[~pd.Series(names, dtype=object).duplicated().to_numpy()]
        self._is_lesion, self._scan, ordered = positive[order], numbers[order], values[order]
        found = int(self._is_lesion.sum())
        self.number_of_scans = _total(number_of_scans, len(np.unique(numbers)), "scans")
        self.number_of_lesions = _total(number_of_lesions, found, "lesions")
        self._found_share = found / self.number_of_lesions if self.number_of_lesions else float("nan")
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))

    def curve(self, drawn: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """False positives per scan and sensitivity: two increasing arrays, from the strictest threshold, which finds nothing.

        ``drawn``, (number_of_scans,), is how often each scan counts; None: once. Sensitivity is NaN without lesions.
        """
        weights = np.ones(len(self._scan)) if drawn is None else drawn[self._scan].astype(float)
        lesions = np.cumsum(weights * self._is_lesion)
        false_positives = np.cumsum(weights * ~self._is_lesion)
        with_candidates = lesions[-1] if len(lesions) else 0.0
        share = self._found_share / with_candidates if with_candidates else float("nan")
        return (
            np.append(0.0, false_positives[self._ends]) / self.number_of_scans,
            np.append(0.0, lesions[self._ends]) * share,
        )

    def sensitivities(self, drawn: np.ndarray | None = None) -> np.ndarray:
        """The sensitivities at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per scan; their mean is the CPM score."""
        return np.interp(FALSE_POSITIVES_PER_SCAN, *self.curve(drawn))

    def summary(self, confidence: float = 0.95, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, float]]:
        """``cpm``, the mean of `sensitivities`, with a bootstrap interval over scans, and ``sensitivity_at_0.125_fp`` ….

        The fraction of lesions without a candidate is the same in each resample. ``n`` counts scans or lesions.
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


def _total(given: int | None, found: int, what: str) -> int:
    if given is None:
        return found
    if given < found:
        raise ValueError(f"number_of_{what}: expected at least the {found} {what} with candidates, found {given}.")
    return given
