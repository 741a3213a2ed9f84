import math

import numpy as np
import pytest
from models_genesis_bundle.metrics import proportion_with_interval, sensitivity_and_specificity, youden_threshold
from scipy.stats import binomtest

LABELS = [1, 1, 1, 1, 0, 0, 0, 0, 0]
SCORES = [0.9, 0.8, 0.6, 0.2, 0.7, 0.4, 0.3, 0.2, 0.1]


def test_sensitivity_and_specificity_by_hand():
    found = sensitivity_and_specificity(LABELS, SCORES, threshold=0.6)
    assert (found["sensitivity"]["mean"], found["sensitivity"]["n"]) == (3 / 4, 4)
    assert (found["specificity"]["mean"], found["specificity"]["n"]) == (4 / 5, 5)
    wilson = binomtest(3, 4).proportion_ci(method="wilson")
    assert found["sensitivity"]["low"] == pytest.approx(wilson.low)
    assert found["sensitivity"]["high"] == pytest.approx(wilson.high)
    no_positives = sensitivity_and_specificity([0, 0], [0.1, 0.2], 0.5)
    assert math.isnan(no_positives["sensitivity"]["mean"])
    assert no_positives["specificity"]["mean"] == 1


def test_youden_by_hand():
    # Sensitivity + specificity: at 0.8 2/4 + 5/5, at 0.6 3/4 + 4/5, at 0.2 4/4 + 1/5.
    assert youden_threshold(LABELS, SCORES) == 0.6
    assert math.isnan(youden_threshold([1, 1], [0.1, 0.2]))
    assert math.isnan(youden_threshold([1, 0], [0.1, 0.2]))


@pytest.mark.parametrize(("hits", "cases"), [(0, 12), (12, 12), (7, 12), (1, 200)])
def test_wilson(hits, cases):
    found = proportion_with_interval(np.arange(cases) < hits)
    wanted = binomtest(hits, cases).proportion_ci(method="wilson")
    assert found["low"] == pytest.approx(wanted.low, abs=1e-12)
    assert found["high"] == pytest.approx(wanted.high)


def test_cases_of_one_patient_widen_the_interval():
    hits = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1, 1])
    alone = proportion_with_interval(hits)
    # Each case six times over: the variance between patients is 10/9 of the binomial one of ten cases.
    repeated = proportion_with_interval(np.repeat(hits, 6), np.repeat(np.arange(10), 6))
    wanted = binomtest(7, 10).proportion_ci(method="wilson")
    assert alone["low"] == pytest.approx(wanted.low)
    assert alone["low"] - 0.02 < repeated["low"] < alone["low"]
    # All are hits: ten patients are no more than ten cases.
    assert proportion_with_interval([1] * 60, np.repeat(np.arange(10), 6))["low"] == pytest.approx(
        binomtest(10, 10).proportion_ci(method="wilson").low
    )
