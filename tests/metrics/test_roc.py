import math

import numpy as np
import pytest
from models_genesis_bundle.metrics import (
    auc_with_interval,
    bootstrap_interval,
    compare_aucs,
    proportion_with_interval,
    sensitivity_and_specificity,
    youden_threshold,
)
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score


def data(cases=120, gain=1.2, seed=0):
    random = np.random.default_rng(seed)
    labels = random.random(cases) < 0.4
    first = np.round(gain * labels + random.normal(size=cases), 1)  # rounded, so that there are ties
    second = 0.7 * labels + 0.5 * first + random.normal(size=cases)
    return labels.astype(int), first, second


def delong_by_pairs(labels, *models):
    """Areas and their covariance from the definition: every positive against every negative case."""
    placements = []
    for scores in models:
        positive, negative = scores[labels == 1][:, None], scores[labels == 0][None]
        kernel = (positive > negative) + 0.5 * (positive == negative)
        placements.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    areas = [positive.mean() for positive, _ in placements]
    parts = [np.atleast_2d(np.cov([p[k] for p in placements])) / len(placements[0][k]) for k in range(2)]
    return np.array(areas), parts[0] + parts[1]


def weighted_area(labels, scores, patients):
    """The area of a resample, from how often each patient was drawn."""
    positive, negative = labels == 1, labels == 0
    right = scores[positive][:, None] > scores[negative][None]
    right = right + 0.5 * (scores[positive][:, None] == scores[negative][None])

    def area(times):
        ours, theirs = times[patients[positive]], times[patients[negative]]
        return ours @ right @ theirs / (ours.sum() * theirs.sum())

    return area


def test_by_hand():
    # Positives 3, 2 and negatives 2, 1: of four pairs three are right and one is a tie: 3.5 / 4.
    # Placements of the positives 1 and 3/4, of the negatives 3/4 and 1, each with variance 1/32: 1/64 + 1/64.
    found = auc_with_interval([1, 1, 0, 0], [3, 2, 2, 1])
    assert found["mean"] == 7 / 8
    assert (found["n"], found["positives"], found["negatives"]) == (4, 2, 2)
    width = norm.ppf(0.975) * math.sqrt(1 / 32) / (7 / 8 * 1 / 8)
    assert found["low"] == pytest.approx(1 / (1 + math.exp(width - math.log(7))))
    assert found["high"] == pytest.approx(1 / (1 + math.exp(-width - math.log(7))))


def test_area_and_variance_are_delongs():
    labels, first, second = data()
    areas, covariance = delong_by_pairs(labels, first, second)
    found = auc_with_interval(labels, first)
    assert found["mean"] == pytest.approx(areas[0])
    assert found["mean"] == pytest.approx(roc_auc_score(labels, first))
    logits = [math.log(found[end] / (1 - found[end])) for end in ("low", "high")]
    deviation = (logits[1] - logits[0]) / (2 * norm.ppf(0.975)) * areas[0] * (1 - areas[0])
    assert deviation == pytest.approx(math.sqrt(covariance[0, 0]))

    difference = compare_aucs(labels, first, second)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert difference["mean"] == pytest.approx(areas[0] - areas[1])
    assert difference["high"] - difference["mean"] == pytest.approx(norm.ppf(0.975) * math.sqrt(variance))
    assert difference["p"] == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / math.sqrt(variance)))


def test_cases_of_one_patient():
    labels, first, second = data()
    patients = np.arange(len(labels))
    assert auc_with_interval(labels, first, patients) == auc_with_interval(labels, first)
    # Each case five times: as much is known as from the cases once, up to the factor n / (n - 1) of the variances.
    repeated, owners = (np.repeat(array, 5) for array in (labels, patients))
    once, five, naive = (
        auc_with_interval(*arguments)
        for arguments in ((labels, first), (repeated, np.repeat(first, 5), owners), (repeated, np.repeat(first, 5)))
    )
    assert five["low"] == pytest.approx(once["low"], abs=1e-3)
    assert naive["low"] > once["low"] + 0.02
    alone, together = (
        compare_aucs(labels, first, second),
        compare_aucs(repeated, np.repeat(first, 5), np.repeat(second, 5), owners),
    )
    assert together["p"] == pytest.approx(alone["p"], rel=0.02)


def test_patients_with_cases_of_both_classes():
    # A bootstrap over patients with a positive and a negative case each, which are similar.
    random = np.random.default_rng(3)
    level = random.normal(size=150)
    labels = np.tile([1, 0], 150)
    scores = np.repeat(level, 2) + np.tile([0.8, 0.0], 150) + 0.7 * random.normal(size=300)
    patients = np.repeat(np.arange(150), 2)
    found = auc_with_interval(labels, scores, patients)
    low, high = bootstrap_interval(weighted_area(labels, scores, patients), 150)
    naive = auc_with_interval(labels, scores)
    assert found["high"] - found["low"] == pytest.approx(high - low, rel=0.15)
    assert naive["high"] - naive["low"] > 1.2 * (high - low)


def test_where_there_is_no_area_or_no_interval():
    nothing = auc_with_interval([1, 1], [0.1, 0.2])
    assert math.isnan(nothing["mean"])
    assert nothing["negatives"] == 0
    perfect = auc_with_interval([1, 1, 0, 0], [4, 3, 2, 1])
    assert perfect["mean"] == 1
    assert math.isnan(perfect["low"])
    alone = auc_with_interval([1, 0, 0], [2, 3, 1])
    assert alone["mean"] == 0.5
    assert math.isnan(alone["high"])
    labels, first, _ = data()
    alike = compare_aucs(labels, first, 2 * first + 1)
    assert (alike["mean"], alike["p"]) == (0, 1)
    assert math.isnan(compare_aucs([0, 0], [1, 2], [2, 1])["p"])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5], "a score for each label"),
        ([1, 2, 0], [0.1, 0.2, 0.3], r"found \[2\] as well"),
        ([1, 0], [0.1, float("nan")], "1 NaN"),
    ],
)
def test_what_does_not_fit_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        auc_with_interval(labels, scores)


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
