import math

import numpy as np
import pytest
from models_genesis_bundle.metrics import brier_scores, expected_calibration_error, reliability_curve
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

RANDOM = np.random.default_rng(0)
PROBABILITIES = RANDOM.random(500)
OUTCOMES = (RANDOM.random(500) < PROBABILITIES**2).astype(int)


def test_expected_calibration_error_by_hand():
    # Bins of 0.2: 0.05 and 0.15 came true in 1 of 2, off by 0.4; 0.9, 0.95 and 1.0 in 2 of 3, off by 0.2833….
    curve = reliability_curve([0, 1, 1, 1, 0], [0.05, 0.15, 0.9, 0.95, 1.0], bins=5)
    assert curve.counts.tolist() == [2, 3]
    assert curve.observed.tolist() == pytest.approx([1 / 2, 2 / 3])
    assert expected_calibration_error(curve) == pytest.approx((2 * 0.4 + 3 * (0.95 - 2 / 3)) / 5)


def test_reliability_curve_is_that_of_scikit_learn():
    curve = reliability_curve(OUTCOMES, PROBABILITIES)
    observed, predicted = calibration_curve(OUTCOMES, PROBABILITIES, n_bins=10)
    assert curve.observed == pytest.approx(observed, abs=1e-6)
    assert curve.predicted == pytest.approx(predicted, abs=1e-6)
    assert curve.counts.sum() == 500


def test_a_calibrated_model_has_a_small_error():
    honest = expected_calibration_error(reliability_curve(OUTCOMES, PROBABILITIES**2))
    assert honest < 0.06 < 0.12 < expected_calibration_error(reliability_curve(OUTCOMES, PROBABILITIES))
    assert math.isnan(expected_calibration_error(reliability_curve([], [])))


def test_brier_score():
    two = np.stack([1 - PROBABILITIES, PROBABILITIES], axis=1)
    assert brier_scores(OUTCOMES, two).mean() == pytest.approx(brier_score_loss(OUTCOMES, PROBABILITIES))
    three = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.25]])
    assert brier_scores([0, 2, 0], three).tolist() == [0, 1, (0.25 + 2 / 16) / 2]
