"""Calibration: do predicted probabilities match observed frequencies?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from models_genesis_bundle.metrics.operating_point import binary_scores
from monai.metrics.calibration import calibration_binning

__all__ = ["ReliabilityCurve", "brier_scores", "expected_calibration_error", "reliability_curve"]


@dataclass(frozen=True)
class ReliabilityCurve:
    """Bins of equal width that hold at least one case.

    Attributes:
        predicted: mean probability of each bin's cases.
        observed: fraction of them in which the outcome is 1.
        counts: number of them.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray


def reliability_curve(
    outcomes: Sequence | np.ndarray, probabilities: Sequence | np.ndarray, bins: int = 10
) -> ReliabilityCurve:
    """Observed frequency by predicted probability, by MONAI's ``calibration_binning``.

    Args:
        outcomes: (n,) 1 or 0: the case is of the positive class or, with several classes, the most probable class was
            correct.
        probabilities: (n,) predicted probabilities of the outcome, 0 … 1.
        bins: of equal width.
    """
    came_true, probabilities = binary_scores(outcomes, probabilities)
    arrays = (torch.as_tensor(array, dtype=torch.float32)[None, None] for array in (probabilities, came_true))
    predicted, observed, counts = (found[0, 0].numpy().astype(float) for found in calibration_binning(*arrays, bins))
    held = counts > 0
    return ReliabilityCurve(predicted[held], observed[held], counts[held].astype(int))


def expected_calibration_error(curve: ReliabilityCurve) -> float:
    """The distance of a reliability curve from the diagonal, 0 … 1, a mean over cases; NaN without cases.

    It depends on the bins, and is above 0 by chance alone where they hold few cases.

    Based on: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.

    Examples:
        >>> from models_genesis_bundle.metrics import expected_calibration_error, reliability_curve
        >>> round(expected_calibration_error(reliability_curve([0, 1, 1, 1], [0.55, 0.55, 0.95, 0.95])), 3)
        0.05
    """
    if not len(curve.counts):
        return float("nan")
    return float(np.average(np.abs(curve.predicted - curve.observed), weights=curve.counts))


def brier_scores(labels: Sequence | np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Each case's squared error of its probabilities; their mean is the Brier score.

    Based on: Brier, Monthly Weather Review 78 (1950), 1-3; halved, so that two classes give (p − y)², as is usual.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes).

    Returns:
        (n,) from 0 (certain and correct) to 1 (certain and wrong).

    Examples:
        >>> from models_genesis_bundle.metrics import brier_scores
        >>> brier_scores([1, 0], np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [0.25, 0.0]
    """
    wanted = np.eye(probabilities.shape[1])[np.asarray(labels, dtype=int)]
    return ((probabilities - wanted) ** 2).sum(axis=1) / 2
