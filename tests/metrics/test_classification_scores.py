import math

import numpy as np
import pytest
from models_genesis_bundle.metrics import (
    auc_with_interval,
    brier_scores,
    classification_scores,
    expected_calibration_error,
    predicted_classes,
    reliability_curve,
)
from sklearn import metrics
from sklearn.calibration import calibration_curve


def cases(classes, count=150, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    logits = 1.3 * np.eye(classes)[labels] + random.normal(size=(count, classes))
    exponents = np.exp(logits)
    return labels, exponents / exponents.sum(axis=1, keepdims=True)


def test_two_classes():
    labels, probabilities = cases(2)
    found = classification_scores(labels, probabilities, ["benign", "malignant"], threshold=0.6, resamples=100)
    positive = probabilities[:, 1]
    called = positive >= 0.6
    assert found["auc"] == auc_with_interval(labels, positive)
    wanted = {
        "average_precision": metrics.average_precision_score(labels, positive),
        "sensitivity": metrics.recall_score(labels, called),
        "specificity": metrics.recall_score(labels, called, pos_label=0),
        "accuracy": metrics.accuracy_score(labels, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, called),
        "brier": metrics.brier_score_loss(labels, positive),
    }
    for name, value in wanted.items():
        assert found[name]["mean"] == pytest.approx(value), name
        assert found[name]["low"] < value < found[name]["high"], name
        assert found[name]["n"] in (150, labels.sum(), 150 - labels.sum())
    assert 0 < found["youden_threshold"]["mean"] < 1
    assert "low" not in found["expected_calibration_error"]


def test_the_positive_class_may_be_the_first():
    labels, probabilities = cases(2)
    one = classification_scores(labels, probabilities, ["a", "b"], positive_class=0, threshold=0.3, resamples=20)
    other = classification_scores(1 - labels, probabilities[:, ::-1], ["b", "a"], threshold=0.3, resamples=20)
    for name in one:
        assert one[name]["mean"] == pytest.approx(other[name]["mean"]), name
    assert predicted_classes(np.array([[0.3, 0.7], [0.2, 0.8]]), 0, 0.3).tolist() == [0, 1]


def test_three_classes():
    labels, probabilities = cases(3)
    found = classification_scores(labels, probabilities, ["a", "b", "c"], resamples=20)
    called = probabilities.argmax(axis=1)
    assert found["auc_macro"]["mean"] == pytest.approx(metrics.roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert found["auc_macro"]["low"] < found["auc_macro"]["mean"] < found["auc_macro"]["high"]
    assert found["accuracy"]["mean"] == pytest.approx((called == labels).mean())
    assert found["balanced_accuracy"]["mean"] == pytest.approx(metrics.balanced_accuracy_score(labels, called))
    assert found["auc_b"] == auc_with_interval(labels == 1, probabilities[:, 1])
    assert found["sensitivity_c"]["mean"] == pytest.approx((called[labels == 2] == 2).mean())
    assert found["specificity_c"]["mean"] == pytest.approx((called[labels != 2] != 2).mean())
    assert "auc" not in found
    assert "youden_threshold" not in found


def test_a_class_without_cases_is_left_out():
    labels, probabilities = cases(3)
    labels[labels == 2] = 1
    found = classification_scores(labels, probabilities, ["a", "b", "c"], resamples=20)
    assert math.isnan(found["auc_c"]["mean"])
    assert found["auc_macro"]["mean"] == pytest.approx((found["auc_a"]["mean"] + found["auc_b"]["mean"]) / 2)
    all_alike = classification_scores([1, 1], np.array([[0.2, 0.8], [0.6, 0.4]]), ["a", "b"], resamples=20)
    assert math.isnan(all_alike["auc"]["mean"])
    assert all_alike["accuracy"]["mean"] == 0.5


def test_patients_are_resampled_whole():
    labels, probabilities = cases(2, count=40)
    repeated = (np.repeat(labels, 10), np.repeat(probabilities, 10, axis=0), ["a", "b"])
    names = ("auc", "average_precision", "accuracy", "balanced_accuracy", "brier")
    whole = classification_scores(*repeated, patients=np.repeat(np.arange(40), 10), resamples=200)
    naive = classification_scores(*repeated, resamples=200)
    for name in names:
        assert whole[name]["high"] - whole[name]["low"] > 2 * (naive[name]["high"] - naive[name]["low"]), name


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
    assert brier_scores(OUTCOMES, two).mean() == pytest.approx(metrics.brier_score_loss(OUTCOMES, PROBABILITIES))
    three = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.25]])
    assert brier_scores([0, 2, 0], three).tolist() == [0, 1, (0.25 + 2 / 16) / 2]
