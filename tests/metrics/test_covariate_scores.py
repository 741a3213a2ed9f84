import numpy as np
import pytest
from models_genesis_bundle.metrics import auc_with_interval, covariate_scores, matched_pairs


def nodules(cases=400, seed=0):
    """Malignancy follows the diameter; one model only measures it, the other knows more."""
    random = np.random.default_rng(seed)
    labels = random.random(cases) < 0.4
    diameter = np.exp(random.normal(2 + 0.7 * labels, 0.5))
    return labels.astype(int), diameter, np.log(diameter), np.log(diameter) + labels + 0.5 * random.normal(size=cases)


def test_pairs_by_hand():
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    diameter = [5, 9, 30, 4.5, 5.4, 9.9, 60, float("nan")]
    pairs = {tuple(pair) for pair in matched_pairs(labels, diameter, caliper=1).tolist()}
    assert pairs == {(0, 4), (1, 5)}
    assert matched_pairs(labels, diameter, caliper=0.1).shape == (0, 2)
    assert matched_pairs([1, 1], [1, 2]).shape == (0, 2)
    assert matched_pairs([0, 1], [float("nan")] * 2).shape == (0, 2)
    # The rarer class may be either; the positive case always stands first.
    swapped = {tuple(pair) for pair in matched_pairs([1 - label for label in labels], diameter, caliper=1).tolist()}
    assert swapped == {(4, 0), (5, 1)}


def test_pairs_are_alike_disjoint_and_seeded():
    labels, diameter, _, _ = nodules()
    pairs = matched_pairs(labels, diameter)
    assert np.array_equal(pairs, matched_pairs(labels, diameter))
    assert len(pairs) > 80
    assert len(np.unique(pairs)) == pairs.size
    assert (labels[pairs] == [1, 0]).all()
    assert np.abs(np.diff(diameter[pairs])).max() <= 0.2 * diameter.std()


def test_a_model_that_only_measures_is_seen_through():
    labels, diameter, measures, knows = nodules()
    blind = covariate_scores(labels, measures, diameter, "diameter_mm")
    assert blind["auc_of_diameter_mm"]["mean"] == auc_with_interval(labels, diameter)["mean"] > 0.8
    assert blind["auc_gain_over_diameter_mm"]["mean"] == 0
    assert blind["auc_gain_over_diameter_mm"]["p"] == 1
    assert blind["auc_matched_by_diameter_mm"]["mean"] == pytest.approx(0.5, abs=0.06)
    assert blind["auc_of_diameter_mm_matched"]["mean"] == pytest.approx(0.5, abs=0.06)
    seeing = covariate_scores(labels, knows, diameter, "diameter_mm")
    assert seeing["auc_gain_over_diameter_mm"]["mean"] > 0.05
    assert seeing["auc_gain_over_diameter_mm"]["p"] < 0.01
    assert seeing["auc_matched_by_diameter_mm"]["mean"] > 0.75


def test_cases_without_the_covariate_are_left_out_and_counted():
    labels, diameter, _, knows = nodules()
    diameter[:50] = np.nan
    found = covariate_scores(labels, knows, diameter, "size", patients=np.arange(400) // 2)
    assert found["auc_of_size"]["missing"] == found["auc_gain_over_size"]["missing"] == 50
    assert found["auc_of_size"]["n"] == 350
    assert found["auc_of_size"]["mean"] == auc_with_interval(labels[50:], diameter[50:])["mean"]
