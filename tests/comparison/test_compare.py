"""The report: tables, plots and what they say, on whole and on partial results."""

from __future__ import annotations

import csv
import json
import runpy
from dataclasses import replace

import numpy as np
import pytest
import yaml
from fake_commands import FakeCommands, journal, plan_content, write_plan
from PIL import Image

from models_genesis_bundle.comparison import ComparisonError, Run, compare_initialisations, planned_runs, read_plan
from models_genesis_bundle.comparison.plots import curves_figure, mean_curve, scores_figure
from models_genesis_bundle.comparison.run_record import RunRecord
from models_genesis_bundle.comparison.run_result import RunResult, read_result
from models_genesis_bundle.comparison.summary import summarise
from models_genesis_bundle.comparison.tables import results_markdown, write_tables


def result(run: Run, score: float, curve=(0.2, 0.4, 0.5, 0.5, 0.5), settled=True, **further) -> RunResult:
    points = tuple(enumerate(curve, start=1))
    best = max(points, key=lambda point: (point[1], -point[0]))
    return RunResult(run, score, further, points, *best, epochs=len(points), settled=settled, seconds=90.0)


@pytest.fixture
def plan(tmp_path):
    content = {**plan_content(), "seeds": [0, 1, 2, 3, 4], "label_fractions": [0.1, 1.0]}
    content["initialisations"]["imagenet"] = {"initial_weights": "none", "baseline": True}
    return read_plan(write_plan(tmp_path, content))


# Genesis is better by 0.05 to 0.07 at 10 % of the labels, and by nothing in the mean at 100 %.
GAINS = {0.1: [0.05, 0.06, 0.07, 0.06, 0.06], 1.0: [0.01, -0.01, 0.02, -0.02, 0.001]}


def results(plan):
    for run in planned_runs(plan):
        base = 0.6 + 0.01 * run.seed + 0.1 * run.condition.labels.amount
        gain = {"scratch": 0.0, "genesis": GAINS[run.condition.labels.amount][run.seed], "imagenet": 0.3}[run.arm.name]
        quick = run.arm.name == "genesis" and run.seed < 3
        yield result(run, base + gain, curve=(0.5, 0.5, 0.5, 0.5) if quick else (0.1, 0.2, 0.3, 0.5 - gain / 10))


def test_the_figures_are_paired_by_seed_and_corrected_over_arms_and_fractions(plan):
    summary = summarise(plan, list(results(plan)))
    assert [(entry.arm.name, entry.condition.labels.amount) for entry in summary.differences] == [
        ("genesis", 0.1),
        ("genesis", 1.0),
    ]
    small, whole = summary.differences
    assert small.test.mean == pytest.approx(np.mean(GAINS[0.1]))
    assert small.t_holm == pytest.approx(2 * small.test.t_p)
    assert whole.t_holm == pytest.approx(whole.test.t_p)
    assert (small.significant, whole.significant) == (True, False)
    assert small.wilcoxon_holm == pytest.approx(2 * 0.0625), "all five the same sign, but one tie of sizes"
    scores = {(entry.arm.name, entry.condition.labels.amount): entry.scores for entry in summary.scores}
    assert scores["imagenet", 0.1].mean == pytest.approx(0.93)
    assert scores["scratch", 1.0].sd == pytest.approx(np.std([0.0, 0.01, 0.02, 0.03, 0.04], ddof=1))


def test_epochs_to_reach_the_reference(plan):
    small = summarise(plan, list(results(plan))).reaching[0]
    assert (small.n, small.reached) == (5, 3)
    assert (small.epochs, small.ratio) == (1, 0.25)


def test_the_markdown_says_plainly_what_is_and_what_is_not_significant(plan):
    text = results_markdown(summarise(plan, list(results(plan)), warnings=["test patients were seen."]))
    assert (
        "- 10 % of the labels: genesis scores 0.0600 higher than scratch: significantly **better** (p < 0.001" in text
    )
    assert "- 100 % of the labels: genesis and scratch do **not differ significantly** (p = " in text
    assert "| 10 % | imagenet † | 5 | 0.9300 ± 0.0158 | 0.9300 | 0.9500 | 5 of 5 |" in text
    assert "another network: shown for orientation, outside of all tests" in text
    assert "(2 tests)" in text
    assert "no p below 0.062" in text
    assert "- test patients were seen." in text
    assert "Missing" not in text


def test_where_lower_is_better_a_higher_score_is_worse(tmp_path):
    content = {**plan_content(), "seeds": [0, 1, 2, 3, 4], "label_fractions": [0.1]}
    content["task"]["higher_is_better"] = False
    plan = read_plan(write_plan(tmp_path, content))
    runs = [
        result(run, 20.0 + run.seed * 0.1 + (run.arm.name == "genesis") * (1 + run.seed % 2))
        for run in planned_runs(plan)
    ]
    text = results_markdown(summarise(plan, runs))
    assert "genesis scores 1.4000 higher than scratch: significantly **worse**" in text
    assert "| 10 % | genesis | 5 | 21.60 ± 0.57 | 21.40 | 21.00 |" in text


def test_one_seed_is_no_test_and_unsettled_runs_are_said(plan):
    one = [result(run, 0.5, settled=run.arm.name != "scratch") for run in planned_runs(plan) if run.seed == 0]
    summary = summarise(plan, one, missing=["genesis, seed 1: not started"])
    text = results_markdown(summary)
    assert "genesis has one pair with scratch: **no test, nothing can be said.**" in text
    assert "| 10 % | scratch | 1 | 0.5000 |" in text
    assert "| 0 of 1 |" in text
    assert "scratch at 10 % of the labels: 1 of 1 runs had not settled" in text
    assert "24 are missing, this is a part of the comparison" in text
    assert "- genesis, seed 1: not started" in text


def test_tables_of_nothing_and_of_a_figure_that_no_run_has(plan, tmp_path):
    write_tables(summarise(plan, [], missing=["all"]), tmp_path / "empty")
    assert "0 of 30 runs are finished" in (tmp_path / "empty" / "results.md").read_text()
    scores_figure(summarise(plan, []))


def test_with_one_fraction_each_arm_has_a_place_of_its_own(plan):
    single = replace(plan, labels=plan.labels[:1])
    axis = scores_figure(summarise(single, list(results(single)))).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "scratch",
        "genesis",
        "imagenet (another network)",
    ]
    runs = [collection.get_offsets() for collection in axis.collections if len(collection.get_offsets()) == 5]
    assert [round(float(np.ptp(points[:, 0]))) for points in runs] == [0, 0, 0]
    assert [round(float(points[0, 0])) for points in runs] == [0, 1, 2]
    assert sorted(runs[1][:, 1]) == pytest.approx(sorted(0.61 + 0.01 * np.arange(5) + GAINS[0.1]))
    scores_figure(summarise(single, []))


def test_runs_without_the_reference_are_described_and_not_tested(plan):
    alone = [entry for entry in results(plan) if entry.run.arm.name == "genesis"]
    summary = summarise(plan, alone)
    assert len(summary.scores) == 2
    assert summary.differences == ()
    assert "## Differences" not in results_markdown(summary)


def test_mean_curves_end_where_half_of_the_runs_have(plan):
    run = planned_runs(plan)[0]
    lengths = [result(run, 0.5, curve=curve) for curve in ((0.1, 0.2), (0.3, 0.4, 0.5, 0.6), (0.2, 0.3, 0.7))]
    epochs, means, spreads = mean_curve(lengths)
    assert epochs.tolist() == [1, 2, 3]
    assert means == pytest.approx([0.2, 0.3, 0.6])
    assert spreads[2] == pytest.approx(np.std([0.5, 0.7], ddof=1))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A plan that was carried out with fake runs, with a further metric that some runs lack."""
    content = plan_content()
    content["task"]["further_metrics"] = ["hd95_mm_mean"]
    path = write_plan(tmp_path_factory.mktemp("compared"), content)
    compare_initialisations(path, jobs=1, commands=FakeCommands(read_plan(path)))
    return path


def test_a_comparison_leaves_tables_and_plots(compared):
    folder = compared.parent / "results"
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["fraction"], row["seed"]) for row in rows[:2]] == [
        ("scratch", "0.5", "0"),
        ("genesis", "0.5", "0"),
    ]
    assert float(rows[1]["score"]) == pytest.approx(0.65 - 0.3 / 64)
    assert (rows[1]["epochs"], rows[1]["best_epoch"], rows[1]["epochs_to_reference"]) == ("8", "8", "2")
    assert (rows[0]["epochs_to_reference"], rows[0]["settled"]) == ("8", "True")
    assert rows[0]["hd95_mm_mean"] == "nan"
    assert (folder / rows[0]["folder"] / "metrics.csv").exists()
    content = json.loads((folder / "results.json").read_text())
    assert content["differences"][0]["test"]["mean"] == pytest.approx(0.1)
    assert content["differences"][0]["test"]["note"] == "all differences are the same: no t-test"
    assert content["runs"][0]["hd95_mm_mean"] is None
    assert content["plan"]["task"]["metric"] == "dice_mean"
    text = (folder / "results.md").read_text()
    assert "| 50 % | scratch | – |" in text
    assert "does not say which patients it was pretrained on" in text
    for name in ("scores.png", "learning_curves.png"):
        picture = np.asarray(Image.open(folder / name).convert("L"))
        assert picture.std() > 5, "something is drawn"


def test_a_validation_without_a_figure_is_no_point_of_the_curve(compared):
    plan = read_plan(compared)
    run = planned_runs(plan)[0]
    text = run.metrics_path.read_text()
    lines = text.splitlines()
    run.metrics_path.write_text("\n".join([lines[0], "1,1.0,nan", *lines[2:]]) + "\n")
    found = read_result(plan, run, RunRecord.read(run))
    run.metrics_path.write_text(text)
    assert [epoch for epoch, _ in found.curve] == [2, 3, 4, 5, 6, 7, 8]
    assert found.best_epoch == 8


def test_a_run_whose_evaluation_was_removed_is_missing(compared):
    summary = planned_runs(read_plan(compared))[0].summary_path
    aside = summary.rename(summary.with_suffix(".aside"))
    missing = compare_initialisations(compared, report_only=True).missing
    aside.rename(summary)
    assert missing == ("scratch, 50 % of the labels, seed 0: begun, not finished",)


def test_a_metric_that_the_runs_do_not_have_is_refused_with_the_nearest_name(compared):
    content = yaml.safe_load(compared.read_text())
    wrong = compared.with_name("wrong.yaml")
    for key, name, near in (("metric", "dice_maen", "dice_mean"), ("validation_metric", "val_dice", "val_mean_dice")):
        wrong.write_text(yaml.safe_dump({**content, "task": {**content["task"], key: name}}))
        with pytest.raises(ComparisonError, match=f"task.{key} names no .* did you mean '{near}'"):
            compare_initialisations(wrong, report_only=True)


def test_the_validation_patients_are_scored_beside_the_test_and_the_report_says_so(tmp_path):
    content = {**plan_content(), "seeds": [0], "shots": [1, 2]}
    del content["label_fractions"]
    path = write_plan(tmp_path, {**content, "section": "validation"})
    summary = compare_initialisations(path, commands=FakeCommands(read_plan(path)))
    assert not summary.missing
    text = (tmp_path / "results" / "validation" / "results.md").read_text()
    assert "Score: `dice_mean` on the validation patients" in text
    assert "Test patients were not touched." in text
    assert "| shots | initialisation |" in text
    assert "- 2 shots: genesis has one pair" in text
    assert not (tmp_path / "results" / "results.md").exists()
    commands = FakeCommands(read_plan(path, section="test"))
    before = len(journal(tmp_path))
    compare_initialisations(path, section="test", commands=commands)
    assert all(line.startswith("evaluating") for line in journal(tmp_path)[before:]), "the trainings are kept"
    assert "on the test patients" in (tmp_path / "results" / "results.md").read_text()
    compare_initialisations(path, report_only=True)
    assert (
        "4 of the runs were scored on test patients, too."
        in (tmp_path / "results" / "validation" / "results.md").read_text()
    )


def test_arms_are_compared_within_a_recipe(tmp_path):
    content = {**plan_content(), "label_fractions": [1.0], "recipes": {"plain": {}, "warm": {}}}
    plan = read_plan(write_plan(tmp_path, content))
    gains = {"plain": 0.1, "warm": 0.2}
    runs = [
        result(run, 0.6 + (run.arm.name == "genesis") * (gains[run.condition.recipe.name] + 0.01 * run.seed))
        for run in planned_runs(plan)
    ]
    summary = summarise(plan, runs)
    assert [round(entry.test.mean, 3) for entry in summary.differences] == [0.105, 0.205]
    text = results_markdown(summary)
    assert "| labels | recipe | initialisation | runs |" in text
    assert "| 100 % | warm | genesis | 2 | 0.8050 ± 0.0071 |" in text
    assert "100 % of the labels, warm: genesis" in text
    write_tables(summary, tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        assert [row["recipe"] for row in csv.DictReader(file)] == 2 * ["plain", "plain", "warm", "warm"]
    (axis,) = scores_figure(summary).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "scratch, plain",
        "genesis, plain",
        "scratch, warm",
        "genesis, warm",
    ]
    assert [axis.get_title() for axis in curves_figure(summary).axes] == [
        "100 % of the labels, plain",
        "100 % of the labels, warm",
    ]


def test_runs_that_never_predict_a_class_are_counted_and_said(plan):
    dice = {"scratch": {"cord": 0.5, "lung": 0.9}, "genesis": {"cord": 0.009, "lung": 0.8}, "imagenet": {}}
    runs = [
        replace(run, class_dice=dice[run.run.arm.name] if run.run.seed < 2 else {"cord": np.nan, "lung": 0.7})
        for run in results(plan)
        if run.run.condition.labels.amount == 1
    ]
    text = results_markdown(summarise(plan, runs))
    assert "| labels | initialisation | cord | lung | runs without a class |" in text
    assert "| 100 % | scratch | 0.5000 ± 0.0000 | 0.7800 ± 0.1095 | 0 of 5 |" in text
    assert "| 100 % | genesis | 0.0090 ± 0.0000, never 2 | 0.7400 ± 0.0548 | 2 of 5 |" in text
    assert "| 100 % | imagenet † | – | 0.7000 ± 0.0000 | 0 of 5 |" in text
    assert "- genesis at 100 % of the labels: 2 of 5 runs never predict cord (2)." in text


def test_the_script_reports_on_a_part_and_says_by_its_exit_code_that_it_is_one(compared, root):
    content = yaml.safe_load(compared.read_text())
    larger = compared.with_name("larger.yaml")
    larger.write_text(yaml.safe_dump({**content, "seeds": [0, 1, 2]}))
    script = runpy.run_path(str(root / "scripts" / "compare_initialisations.py"))
    for path, code in ((compared, 0), (larger, 1)):
        with pytest.raises(SystemExit) as raised:
            script["compare"](str(path), report_only="true")
        assert raised.value.code == code
    assert "**4 are missing" in (compared.parent / "results" / "results.md").read_text()
    with pytest.raises(SystemExit, match="there is no such file"):
        script["compare"]("nowhere.yaml")
