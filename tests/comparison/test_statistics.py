"""Statistics against values computed by hand, by scipy called plainly, or published."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from models_genesis_bundle.comparison.statistics import describe, holm, paired_test


def by_seed(*values):
    return dict(enumerate(values))


def test_description():
    found = describe([1.0, 2.0, 6.0])
    assert (found.n, found.mean, found.median, found.best) == (3, 3.0, 2.0, 6.0)
    assert found.sd == pytest.approx(7**0.5)
    assert describe([1.0, 2.0], higher_is_better=False).best == 1.0
    assert describe([1.0]).sd is None


def test_tests_are_paired_by_seed_and_agree_with_scipy():
    generator = np.random.default_rng(0)
    reference = generator.normal(0.7, 0.05, 8)
    scores = reference + generator.normal(0.01, 0.01, 8)
    shuffled = {seed: scores[seed] for seed in (3, 1, 7, 0, 2, 6, 5, 4)}
    found = paired_test({**shuffled, 99: 0.0}, by_seed(*reference))
    assert found.n == 8
    assert found.mean == pytest.approx((scores - reference).mean())
    assert found.t_p == pytest.approx(stats.ttest_rel(scores, reference).pvalue)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(scores, reference).pvalue)
    assert found.low < found.mean < found.high


def test_t_test_of_a_textbook():
    """Student's sleep data (Biometrika 6, 1908): ten pairs, mean difference 1.58, t = 4.0621, p = 0.002833."""
    first = by_seed(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
    second = by_seed(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
    found = paired_test(second, first)
    assert found.mean == pytest.approx(1.58)
    assert found.t_p == pytest.approx(0.002833, abs=1e-6)


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        found = paired_test(by_seed(*generator.normal(1.0, 1.0, 20)), by_seed(*np.zeros(20)), confidence=0.8)
        covered += found.low <= 1.0 <= found.high
    assert 0.65 <= covered / 60 <= 0.92  # 80 %, and three standard deviations of 60 draws less


def test_one_seed_ties_and_equal_differences_give_no_warning_and_say_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = paired_test(by_seed(0.7), by_seed(0.5))
        equal = paired_test(by_seed(0.7, 0.8), by_seed(0.7, 0.8))
        constant = paired_test(by_seed(0.7, 0.8, 0.9), by_seed(0.6, 0.7, 0.8))
        ties = paired_test(by_seed(0.7, 0.8, 0.9, 0.9, 1.0), by_seed(0.7, 0.8, 0.8, 0.8, 0.7))
        tiny = paired_test(by_seed(*[0.7] * 7), by_seed(0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.71))
    assert (one.t_p, one.wilcoxon_p, one.low, one.note) == (None, None, None, "one seed: no test")
    assert one.mean == pytest.approx(0.2)
    assert (equal.mean, equal.t_p, equal.wilcoxon_p) == (0.0, 1.0, 1.0)
    assert constant.t_p is None
    assert (constant.low, constant.high) == pytest.approx((0.1, 0.1))
    assert constant.wilcoxon_p == pytest.approx(0.25)  # 2 / 2³, the smallest p of three pairs
    assert 0 < ties.t_p < 1
    assert 0 < ties.wilcoxon_p <= 1
    assert tiny.wilcoxon_p == 1.0
    with pytest.raises(ValueError, match="no seed is in both"):
        paired_test({0: 1.0}, {1: 1.0})


def test_holm():
    """By hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, and must not fall."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([None]) == [None]
    assert holm([]) == []
