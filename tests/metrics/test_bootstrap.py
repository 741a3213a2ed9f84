import math
import warnings

import numpy as np
import pytest
from models_genesis_bundle.metrics import bootstrap_interval, mean_with_interval
from scipy.stats import bootstrap

VALUES = np.random.default_rng(1).beta(8, 2, size=30)


def test_without_patients_it_is_scipys_bca():
    found = mean_with_interval(VALUES, resamples=5000)
    wanted = bootstrap((VALUES,), np.mean, n_resamples=5000, rng=np.random.default_rng(0)).confidence_interval
    assert found["mean"] == pytest.approx(VALUES.mean())
    assert found["sd"] == pytest.approx(VALUES.std(ddof=1))
    assert found["low"] == pytest.approx(wanted.low, abs=3e-3)
    assert found["high"] == pytest.approx(wanted.high, abs=3e-3)
    assert found == mean_with_interval(VALUES, resamples=5000)


def test_cases_of_a_patient_are_drawn_together():
    # Ten patients with twenty like cases each know as much as ten cases, not two hundred.
    own = VALUES[:10]
    alone = mean_with_interval(own)
    repeated = mean_with_interval(np.repeat(own, 20), patients=np.repeat(np.arange(10), 20))
    naive = mean_with_interval(np.repeat(own, 20))
    assert repeated["low"] == pytest.approx(alone["low"])
    assert repeated["high"] == pytest.approx(alone["high"])
    assert naive["high"] - naive["low"] < 0.4 * (alone["high"] - alone["low"])
    assert repeated["n"] == 200


def test_missing_values_are_left_out_and_counted():
    found = mean_with_interval([0.5, float("nan"), 0.7], patients=["a", "a", "b"])
    assert (found["n"], found["missing"], found["mean"], found["median"]) == (2, 1, 0.6, 0.6)


def test_degenerate_values_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = mean_with_interval([float("nan")] * 2)
        assert nothing["n"] == 0
        assert math.isnan(nothing["mean"])
        one = mean_with_interval([0.5])
        assert one["mean"] == 0.5
        assert all(math.isnan(one[name]) for name in ("sd", "low", "high"))
        equal = mean_with_interval([1.0] * 5)
        assert equal["low"] == equal["high"] == 1
        one_patient = mean_with_interval([0.1, 0.9], patients=["a", "a"])
        assert math.isnan(one_patient["low"])
        alike = mean_with_interval([0.1, 0.9] * 2, patients=["a", "a", "b", "b"])  # equal sums: BCa is not defined
        assert alike["low"] == alike["high"] == 0.5


def test_many_patients():
    values = np.random.default_rng(2).exponential(size=6000)
    found = mean_with_interval(values, resamples=500)
    error = 1.96 * found["sd"] / math.sqrt(6000)
    assert found["low"] == pytest.approx(values.mean() - error, abs=0.2 * error)
    assert found["high"] == pytest.approx(values.mean() + error, abs=0.2 * error)


def test_the_number_of_patients_must_fit():
    with pytest.raises(ValueError, match="one for each of 2 cases, found 1"):
        mean_with_interval([1.0, 2.0], patients=["a"])


def test_interval_of_any_figure():
    low, high = bootstrap_interval(lambda times: np.repeat(VALUES, times).mean(), len(VALUES), resamples=4000)
    wanted = bootstrap((VALUES,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
    assert low == pytest.approx(wanted.confidence_interval.low, abs=5e-3)
    assert high == pytest.approx(wanted.confidence_interval.high, abs=5e-3)
    assert all(math.isnan(end) for end in bootstrap_interval(lambda times: 1.0, 1))
    assert all(math.isnan(end) for end in bootstrap_interval(lambda times: float("nan"), 3, resamples=10))
    # Resamples that do not define the figure are left out of it.
    assert bootstrap_interval(lambda times: 2.0 if times[0] else float("nan"), 3, resamples=50) == (2.0, 2.0)
