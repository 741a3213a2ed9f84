"""Statistics against values computed by hand, by scipy called plainly, or published."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from models_genesis_bundle.comparison.results import arranged
from models_genesis_bundle.comparison.statistics import Statistics, holm, label_efficiency, paired_test
from report_tables import GAINS, plan_of, table_of
from scipy import stats


def test_a_test_agrees_with_scipy():
    generator = np.random.default_rng(0)
    reference = generator.normal(0.7, 0.05, 8)
    scores = reference + generator.normal(0.01, 0.01, 8)
    found = paired_test(pd.Series(scores - reference))
    assert found["pairs"] == 8
    assert found["difference"] == pytest.approx((scores - reference).mean())
    assert found["t_p"] == pytest.approx(stats.ttest_rel(scores, reference).pvalue)
    assert found["wilcoxon_p"] == pytest.approx(stats.wilcoxon(scores, reference).pvalue)
    assert found["low"] < found["difference"] < found["high"]


def test_one_seed_ties_and_equal_differences_give_no_warning_and_say_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = paired_test(pd.Series([0.7 - 0.5]))
        equal = paired_test(pd.Series([0.0, 0.0]))
        constant = paired_test(pd.Series([0.7 - 0.6, 0.8 - 0.7, 0.9 - 0.8]))
        ties = paired_test(pd.Series([0.0, 0.0, 0.1, 0.1, 0.3]))
        tiny = paired_test(pd.Series([*[0.0] * 6, -0.01]))
    assert (one["note"], one["difference"]) == ("one seed: no test", pytest.approx(0.2))
    assert np.isnan([one[name] for name in ("t_p", "wilcoxon_p", "low", "high")]).all()
    assert (equal["difference"], equal["t_p"], equal["wilcoxon_p"]) == (0.0, 1.0, 1.0)
    assert np.isnan(constant["t_p"])
    assert (constant["low"], constant["high"]) == pytest.approx((0.1, 0.1))
    assert constant["wilcoxon_p"] == pytest.approx(0.25)  # 2 / 2³, the smallest p of three pairs
    assert 0 < ties["t_p"] < 1
    assert 0 < ties["wilcoxon_p"] <= 1
    assert tiny["wilcoxon_p"] == 1.0


def test_holm():
    """By hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, and must not fall."""
    assert holm(pd.Series([0.04, 0.01, 0.03, 0.02])).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    np.testing.assert_array_equal(holm(pd.Series([0.5, np.nan, 0.9])), [1.0, np.nan, 1.0])
    np.testing.assert_array_equal(holm(pd.Series([np.nan])), [np.nan])
    assert holm(pd.Series([], dtype=float)).empty


@pytest.fixture
def plan(tmp_path):
    return plan_of(tmp_path, label_fractions=[0.1, 1.0])


def test_scores_are_those_of_each_arm_and_amount_of_labels(plan):
    scores = Statistics.of(plan, table_of(plan)).scores.set_index(["fraction", "arm"])
    assert list(scores.index) == [(share, arm) for share in (0.1, 1.0) for arm in ("scratch", "genesis", "imagenet")]
    assert scores.loc[(0.1, "imagenet"), "mean"] == pytest.approx(0.93)
    assert scores.loc[(1.0, "scratch"), "sd"] == pytest.approx(np.std([0.0, 0.01, 0.02, 0.03, 0.04], ddof=1))
    assert scores.loc[(1.0, "scratch"), "best"] == pytest.approx(0.74)


def test_differences_are_paired_by_seed_and_corrected_over_arms_and_amounts(plan):
    table = table_of(plan).sample(frac=1, random_state=0)  # whatever the order of the runs
    small, whole = Statistics.of(plan, table).differences.to_dict("records")
    assert [(row["fraction"], row["arm"]) for row in (small, whole)] == [(0.1, "genesis"), (1.0, "genesis")]
    assert small["difference"] == pytest.approx(np.mean(GAINS[0.1]))
    assert small["t_holm"] == pytest.approx(2 * small["t_p"])
    assert whole["t_holm"] == pytest.approx(whole["t_p"])
    assert (small["significant"], whole["significant"]) == (True, False)
    assert small["wilcoxon_holm"] == pytest.approx(2 * 0.0625), "all five the same sign, but one tie of sizes"


def test_a_seed_that_one_arm_lacks_makes_no_pair(plan):
    table = table_of(plan)
    lacking = (table["arm"] == "scratch") & (table["seed"] == 4) & (table["fraction"] == 0.1)
    small, whole = Statistics.of(plan, table[~lacking]).differences.to_dict("records")
    assert (small["pairs"], whole["pairs"]) == (4, 5)
    assert small["difference"] == pytest.approx(np.mean(GAINS[0.1][:4]))


def test_epochs_to_reach_the_reference(plan):
    reaching = Statistics.of(plan, table_of(plan)).reaching.to_dict("records")[0]
    assert (reaching["pairs"], reaching["reached"]) == (5, 3)
    assert (reaching["epochs"], reaching["ratio"]) == (1, 0.25)


def test_runs_without_the_reference_are_described_and_not_tested(plan):
    table = table_of(plan)
    found = Statistics.of(plan, table[table["arm"] == "genesis"])
    assert len(found.scores) == 2
    assert found.differences.empty
    assert found.reaching.empty


def test_arms_are_compared_within_a_recipe_and_recipes_within_an_arm(tmp_path):
    plan = plan_of(tmp_path, shots=[2], recipes={"plain": {}, "warm": {}})
    gains = {("scratch", "plain"): 0, ("genesis", "plain"): 0.1, ("scratch", "warm"): 0.3, ("genesis", "warm"): 0.5}
    rows = [
        {"arm": arm, "baseline": False, "shots": 2, "recipe": recipe, "seed": seed, "score": 0.2 + gain + noise * seed}
        for (arm, recipe), gain in gains.items()
        for seed, noise in ((0, 0), (1, gain / 10), (2, -gain / 20))
    ]
    rest = {"best_epoch": 1, "epochs_to_reference": 1, "settled": True, "seconds": 1.0}
    found = Statistics.of(plan, arranged(plan, pd.DataFrame(rows).assign(**rest)))
    arms, recipes = found.differences, found.recipe_differences
    assert arms[["recipe", "arm"]].values.tolist() == [["plain", "genesis"], ["warm", "genesis"]]
    assert arms["difference"].tolist() == pytest.approx([0.1, 0.2])
    assert recipes[["arm", "recipe"]].values.tolist() == [["scratch", "warm"], ["genesis", "warm"]]
    assert recipes["difference"].tolist() == pytest.approx([0.3, 0.4])
    for family in (arms, recipes):
        assert family["t_holm"].tolist() == pytest.approx(holm(family["t_p"]).tolist())


def test_labels_that_the_reference_needs_for_the_same_score(tmp_path):
    """By hand: scratch scores 0.5, 0.6, 0.8 with 2, 8, 32 labels; genesis 0.55 with 2 is half-way from 2 to 8, which is 4."""
    plan = plan_of(tmp_path, shots=[2, 8, 32])
    scores = {"scratch": (0.5, 0.6, 0.8), "genesis": (0.55, 0.7, 0.9)}
    rows = [
        {"arm": arm, "baseline": False, "shots": shots, "seed": seed, "score": score + 0.001 * seed}
        for arm, own in scores.items()
        for shots, score in zip((2, 8, 32), own, strict=True)
        for seed in (0, 1, 2)
    ]
    found = label_efficiency(plan, pd.DataFrame(rows))
    assert found["needed"].tolist() == pytest.approx([4, 16, np.inf])
    assert found[["low", "high"]].to_numpy() == pytest.approx(np.array([[4, 4], [16, 16], [np.inf, np.inf]])), (
        "paired by seed: what all runs of a seed share moves nothing"
    )
    worse = [row | {"score": -row["score"]} for row in rows if (row["arm"], row["seed"]) != ("genesis", 2)]
    lower = plan_of(tmp_path, task={"higher_is_better": False}, shots=[2, 8, 32])
    assert label_efficiency(lower, pd.DataFrame(worse))["needed"].tolist() == pytest.approx([4, 16, np.inf])
    assert label_efficiency(lower, pd.DataFrame(rows))["needed"].tolist() == pytest.approx([0, 0, 0]), "below the curve"


def test_the_needed_labels_of_noisy_seeds_have_an_interval_around_them(tmp_path):
    plan = plan_of(tmp_path, shots=[2, 8])
    generator = np.random.default_rng(0)
    rows = [
        {"arm": arm, "baseline": False, "shots": shots, "seed": seed, "score": score + generator.normal(0, 0.01)}
        for arm, shots, score in (("scratch", 2, 0.5), ("scratch", 8, 0.6), ("genesis", 2, 0.55))
        for seed in range(10)
    ]
    (found,) = label_efficiency(plan, pd.DataFrame(rows)).to_dict("records")
    assert 2 < found["low"] < found["needed"] < found["high"] < 8
    assert found["needed"] == pytest.approx(4, rel=0.2)
    assert label_efficiency(plan_of(tmp_path, shots=[2]), pd.DataFrame(rows)).empty, "one amount is no curve"
    without = [row for row in rows if (row["arm"], row["shots"]) != ("scratch", 8)]
    assert label_efficiency(plan, pd.DataFrame(without)).empty, "an unfinished curve"
