"""The report: tables, plots and what they say, on whole and on partial results."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from models_genesis_bundle.comparison import Comparison, read_plan
from models_genesis_bundle.comparison.plots import curves_figure, mean_curve, scores_figure
from models_genesis_bundle.comparison.report import markdown, score_cautions, write_report
from models_genesis_bundle.comparison.results import arranged
from models_genesis_bundle.comparison.statistics import Statistics
from report_tables import GAINS, plan_of, table_of


def compared(plan, table, **said):
    statistics = Statistics.of(plan, table)
    return Comparison(plan, table, statistics, cautions=score_cautions(plan, statistics.scores), **said)


def text_of(plan, table, **said):
    """The report, without the spaces that align the columns."""
    return re.sub(" +", " ", markdown(compared(plan, table, **said)))


@pytest.fixture
def plan(tmp_path):
    return plan_of(tmp_path, label_fractions=[0.1, 1.0])


def test_the_markdown_says_plainly_what_is_and_what_is_not_significant(plan):
    text = text_of(plan, table_of(plan))
    assert (
        "- 10 % of the labels: genesis scores 0.0600 higher than scratch: significantly **better** (p < 0.001" in text
    )
    assert "- 100 % of the labels: genesis and scratch do **not differ significantly** (p = " in text
    assert "| 10 % | imagenet † | 5 | 0.9300 ± 0.0158 | 0.9300 | 0.9500 | 5 of 5 | 4 | 1.5 |" in text
    assert "another network: shown for comparison, not part of any test" in text
    assert "| 10 % | genesis | 3 of 5 | 1 | 0.25 |" in text
    assert "(2 tests)" in text
    assert "no p below 0.062" in text
    assert "30 of 30 runs are finished." in text
    assert "## Missing" not in text
    assert "## Cautions" not in text


def test_where_lower_is_better_a_higher_score_is_worse(tmp_path):
    plan = plan_of(tmp_path, label_fractions=[0.1], task={"higher_is_better": False})
    score = lambda run: 20.0 + run.seed * 0.1 + (run.arm == "genesis") * (1 + run.seed % 2)  # noqa: E731
    text = text_of(plan, table_of(plan, score=score))
    assert "genesis scores 1.4000 higher than scratch: significantly **worse**" in text
    assert "| 10 % | genesis | 5 | 21.60 ± 0.57 | 21.40 | 21.00 |" in text


def test_one_seed_is_no_test_and_unsettled_runs_are_said(plan):
    table = table_of(plan, settled=lambda run: run.arm != "scratch")
    text = text_of(plan, table[table["seed"] == 0], missing=24 * ["genesis, seed 1: not started"])
    assert "genesis has one pair with scratch: **no test, no conclusion.**" in text
    assert "| 10 % | scratch | 1 | 0.6100 |" in text
    assert "| 0 of 1 |" in text
    assert "scratch at 10 % of the labels: 1 of 1 runs had not settled" in text
    assert "6 of 30 runs are finished; **24 are missing: these results are partial.**" in text
    assert "- genesis, seed 1: not started" in text


def test_equal_differences_are_no_t_test(plan):
    text = text_of(plan, table_of(plan, score=lambda run: 0.5 + 0.1 * (run.arm == "genesis")))
    assert "genesis: **no t-test** (all differences are the same: no t-test), no conclusion." in text


def test_metrics_that_some_runs_lack_are_described_from_the_others(tmp_path):
    plan = plan_of(tmp_path, label_fractions=[0.1], task={"further_metrics": ["hd95"]})
    text = text_of(plan, table_of(plan, hd95=lambda run: 12.5 if run.arm == "genesis" and run.seed < 2 else np.nan))
    assert "| labels | initialisation | `hd95` |" in text
    assert "| 10 % | genesis | 12.50 ± 0.00 (2 runs) |" in text
    assert "| 10 % | scratch | – |" in text


def test_runs_that_miss_a_class_are_counted_and_said(tmp_path):
    plan = plan_of(tmp_path, label_fractions=[1.0])
    cord = {"scratch": 0.5, "genesis": 0.009, "imagenet": np.nan}
    text = text_of(
        plan,
        table_of(
            plan,
            class_dice_cord=lambda run: cord[run.arm] if run.seed < 2 else np.nan,
            class_dice_lung=lambda run: 0.9 if run.seed < 2 else 0.7,
        ),
    )
    assert "| labels | initialisation | cord | lung | runs that miss a class |" in text
    assert "| 100 % | scratch | 0.5000 ± 0.0000 (2 runs) | 0.7800 ± 0.1095 | 0 of 5 |" in text
    assert "| 100 % | genesis | 0.0090 ± 0.0000 (2 runs) (2 missed) | 0.7800 ± 0.1095 | 2 of 5 |" in text
    assert "| 100 % | imagenet † | – | 0.7800 ± 0.1095 | 0 of 5 |" in text
    assert (
        "- genesis at 100 % of the labels: 2 of 5 runs miss a class: cord (2). This dominates the mean score." in text
    )


def test_recipes_have_a_column_and_a_table_of_differences(tmp_path):
    plan = plan_of(tmp_path, label_fractions=[1.0], recipes={"plain": {}, "warm": {}})
    gain = {"plain": 0.0, "warm": 0.1}
    score = lambda run: 0.5 + gain[run.recipe] * (1 + 0.1 * run.seed) + 0.01 * (run.arm == "genesis") * run.seed  # noqa: E731
    table = table_of(plan, recipe=lambda run: run.recipe, score=score)
    text = text_of(plan, table)
    assert "| labels | recipe | initialisation | runs |" in text
    assert "| 100 % | warm | genesis | 5 | 0.6400 ±" in text
    assert "- 100 % of the labels, warm: genesis" in text
    assert "## Differences from plain" in text
    assert "- 100 % of the labels, scratch: warm scores 0.1200 higher than plain: significantly **better**" in text
    assert "(2 and 2 tests)" in text
    (axis,) = scores_figure(plan, table).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        f"{arm}, {recipe}{mark}"
        for recipe in ("plain", "warm")
        for arm, mark in (("scratch", ""), ("genesis", ""), ("imagenet", " (another network)"))
    ]
    curves = curves_figure(plan, table)
    assert [axis.get_title() for axis in curves.axes] == ["100 % of the labels, plain", "100 % of the labels, warm"]
    started = curves_figure(plan, table[(table["arm"] == "scratch") | (table["recipe"] == "warm")])
    for figure in (curves, started):  # whichever plot an arm is in, the legend names it
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["scratch", "genesis", "imagenet (another network)"]


def test_a_report_of_nothing(plan):
    write_report(compared(plan, pd.DataFrame(), missing=["all"]))
    text = (plan.results_dir / "results.md").read_text()
    assert "0 of 30 runs are finished; **1 are missing" in text
    assert "## Scores" not in text
    assert (plan.results_dir / "scores.png").exists()


def test_scores_by_labels_are_lines_with_a_band_and_a_point_for_each_run(plan):
    (axis,) = scores_figure(plan, table_of(plan)).axes
    lines = {line.get_label(): line for line in axis.lines}
    assert list(lines) == ["scratch", "genesis", "imagenet (another network)"]
    assert lines["genesis"].get_xdata().tolist() == [0.1, 1.0]
    assert lines["genesis"].get_ydata() == pytest.approx([0.69, 0.7202])
    assert axis.get_xscale() == "log"
    assert sum(len(points.get_offsets()) for points in axis.collections if "Path" in type(points).__name__) == 30


def test_with_one_amount_of_labels_each_arm_has_a_place_of_its_own(tmp_path):
    plan = plan_of(tmp_path, label_fractions=[0.1])
    (axis,) = scores_figure(plan, table_of(plan)).axes
    runs = [points.get_offsets() for points in axis.collections if "Path" in type(points).__name__]
    assert [set(points[:, 0]) for points in runs] == [{0.15}, {1.15}, {2.15}]
    assert sorted(runs[1][:, 1]) == pytest.approx(sorted(0.61 + 0.01 * np.arange(5) + GAINS[0.1]))


def test_mean_curves_end_where_half_of_the_runs_have():
    runs = [(0.1, 0.2), (0.3, 0.4, 0.5, 0.6), (0.2, 0.3, 0.7)]
    mean, sd = mean_curve(pd.Series(values, range(1, len(values) + 1)) for values in runs)
    assert mean.to_dict() == pytest.approx({1: 0.2, 2: 0.3, 3: 0.6})
    assert sd[3] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert mean_curve([pd.Series([0.5], [1])])[1].tolist() == [0.0]


def test_the_published_runs_give_the_published_table(root, monkeypatch):
    """docs/results/hippocampus.md has the scores by share of the labels, with three digits of the four of the report."""
    monkeypatch.chdir(root)
    plan = read_plan("docs/results/hippocampus.yaml")
    report = text_of(plan, arranged(plan, pd.read_csv("docs/results/hippocampus.csv")))
    scores = re.findall(r"^\| ([\d.]+ %) \| \w+ \| 10 \| (\S+ ± \S+) \|", report, re.MULTILINE)
    tests = re.findall(r"^\| ([\d.]+ %) \| own \| 10 \| (\S+ \| \S+ … \S+) \|", report, re.MULTILINE)
    page = (root / "docs" / "results" / "hippocampus.md").read_text().replace("−", "-")
    assert (len(scores), len(tests)) == (10, 5)
    for share, test in tests:
        _, *cells = re.search(rf"^\| ({share}): .*", page, re.MULTILINE)[0].strip("|").split("|")
        own = [found for where, found in scores if where == share]
        assert numbers(*cells[:3]) == pytest.approx(numbers(*own, test), abs=0.0006)


def numbers(*texts):
    return [float(number) for text in texts for number in re.findall(r"[+-]?\d\.\d+", text)]
