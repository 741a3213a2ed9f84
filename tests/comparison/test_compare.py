"""A whole comparison with fake runs: what it leaves, and what the script says."""

from __future__ import annotations

import csv
import json
import runpy

import numpy as np
import pytest
import yaml
from fake_commands import PROGRAM, journal, plan_content, write_plan
from models_genesis_bundle.comparison import PlanError, compare_initialisations, planned_runs, read_plan
from PIL import Image


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A plan that was carried out with fake runs, with a further metric that some runs lack."""
    content = plan_content()
    content["task"]["further_metrics"] = ["hd95_mm_mean"]
    path = write_plan(tmp_path_factory.mktemp("compared"), content)
    compare_initialisations(path, jobs=1, program=PROGRAM)
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
    assert rows[0]["hd95_mm_mean"] == ""
    assert (folder / rows[0]["folder"] / "metrics.csv").exists()
    content = json.loads((folder / "results.json").read_text())
    assert content["differences"][0]["difference"] == pytest.approx(0.1)
    assert content["differences"][0]["note"] == "all differences are the same: no t-test"
    assert content["runs"][0]["hd95_mm_mean"] is None
    assert content["plan"]["task"]["metric"] == "dice_mean"
    text = (folder / "results.md").read_text()
    assert "| 50 %     | scratch          | –" in text
    assert "does not record which patients it was pretrained on" in text
    for name in ("scores.png", "learning_curves.png"):
        picture = np.asarray(Image.open(folder / name).convert("L"))
        assert picture.std() > 5, "something is drawn"


def test_a_run_whose_evaluation_was_removed_is_missing(compared):
    summary = planned_runs(read_plan(compared))[0].summary_path
    aside = summary.rename(summary.with_suffix(".aside"))
    missing = compare_initialisations(compared, report_only=True).missing
    aside.rename(summary)
    assert missing == ["scratch, 50 % of the labels, seed 0: begun, not finished"]


def test_the_validation_patients_are_scored_beside_the_test_and_the_report_says_so(tmp_path):
    content = {**plan_content(), "seeds": [0], "shots": [1, 2]}
    del content["label_fractions"]
    path = write_plan(tmp_path, {**content, "section": "validation"})
    summary = compare_initialisations(path, program=PROGRAM)
    assert not summary.missing
    text = (tmp_path / "results" / "validation" / "results.md").read_text()
    assert "Score: `dice_mean` on the validation patients" in text
    assert "Test patients were not used." in text
    assert "| shots   | initialisation   |" in text
    assert "- 2 shots: genesis has one pair" in text
    assert not (tmp_path / "results" / "results.md").exists()
    before = len(journal(tmp_path))
    compare_initialisations(path, section="test", program=PROGRAM)
    assert all(line.startswith("evaluating") for line in journal(tmp_path)[before:]), "the trainings are kept"
    assert "on the test patients" in (tmp_path / "results" / "results.md").read_text()
    compare_initialisations(path, report_only=True)
    assert (
        "4 of the runs were scored on test patients as well."
        in (tmp_path / "results" / "validation" / "results.md").read_text()
    )


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
    with pytest.raises(SystemExit) as raised:
        script["compare"](str(compared), section="validation", report_only="true")
    assert raised.value.code == 1, "no run was scored on validation patients"
    with pytest.raises(PlanError, match="the file does not exist"):
        script["compare"]("nowhere.yaml")
