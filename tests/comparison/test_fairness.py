"""Runs that differ in anything but the initialisation are not compared."""

from __future__ import annotations

import json

import pytest
import torch
from fake_commands import plan_content, write_plan
from models_genesis_bundle.comparison import ComparisonError, planned_runs, read_plan
from models_genesis_bundle.comparison.fairness import Fairness, cases_of, pretraining_cautions
from models_genesis_bundle.data import patient_hashes
from models_genesis_bundle.weights import write_checkpoint, write_weights


@pytest.fixture
def plan(tmp_path):
    content = plan_content()
    content["initialisations"]["other"] = {"initial_weights": "none", "baseline": True}
    return read_plan(write_plan(tmp_path, content))


@pytest.fixture
def runs(plan):
    """The runs of scratch, genesis and a baseline with one seed, and of scratch with the next, as they should be."""
    runs = planned_runs(plan)[:4]
    for run in runs:
        leave(run)
    return runs


def leave(run, cases=("case_0,LIDC-1", "case_1,LIDC-2"), **settings):
    config = {
        "initial_weights": run.initialisation.initial_weights or "none",
        "seed": run.seed,
        "label_fraction": 1.0,
        run.labels.setting: run.labels.amount,
        "output_dir": str(run.folder),
        "cache_dir": f"{run.folder}/cache",
        "optimizer": {"lr": 0.1, "betas": [0.9, 0.999]},
        **settings,
    }
    run.evaluation_dir.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(json.dumps(config))
    (run.evaluation_dir / "scores.csv").write_text("case,patient\n" + "\n".join(cases) + "\n")


def admit(runs):
    fairness = Fairness()
    for run in runs:
        fairness.admit(run)


def test_runs_that_differ_in_the_initialisation_alone_are_admitted(plan, runs):
    admit(runs)


@pytest.mark.parametrize(
    ("arm", "left", "message"),
    [
        (
            1,
            {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}},
            "genesis, 50 % of the labels, seed 0 is not comparable with scratch, 50 % of the labels, seed 0: "
            "optimizer::betas::1 is 0.99 here and 0.999 there",
        ),
        (3, {"freeze": ["encoder"]}, "freeze::0 is 'encoder' here and None there"),
        (1, {"initial_weights": "none"}, "the training had initial_weights='none' where the plan says 'weights/gen"),
        (
            2,  # a baseline
            {"cases": ("case_0,LIDC-1", "case_7,LIDC-7")},
            r"other, .* not scored on the same cases .*: case_1, case_7 are in one of",
        ),
    ],
)
def test_what_differs_is_named(plan, runs, arm, left, message):
    leave(runs[arm], **left)
    with pytest.raises(ComparisonError, match=message):
        admit(runs)


def test_fractions_may_differ_in_what_the_plan_sets_by_fraction_and_in_nothing_else(tmp_path):
    content = plan_content()
    content["task"]["fraction_overrides"] = {0.5: {"max_epochs": 16, "optimizer::lr": 0.2}, 1.0: {}}
    plan = read_plan(write_plan(tmp_path, content))
    few, all_labels = planned_runs(plan)[0], planned_runs(plan)[-1]
    leave(few, max_epochs=16, optimizer={"lr": 0.2, "betas": [0.9, 0.999]})
    leave(all_labels, max_epochs=8)
    admit([few, all_labels])
    leave(few, max_epochs=16, optimizer={"lr": 0.2, "betas": [0.9, 0.99]})
    with pytest.raises(ComparisonError, match="optimizer::betas::1"):
        admit([few, all_labels])


def test_arms_may_load_other_parts_of_their_weights_but_those_that_the_plan_says(tmp_path):
    content = plan_content()
    content["initialisations"]["encoder"] = {"initial_weights": "weights/genesis.pt", "transfer_parts": ["encoder"]}
    plan = read_plan(write_plan(tmp_path, content))
    _, genesis, encoder = planned_runs(plan)[:3]
    leave(genesis, starting_point={"parts": ["encoder", "decoder"]})
    leave(encoder, starting_point={"parts": ["encoder"]})
    admit([genesis, encoder])
    leave(encoder, starting_point={"parts": ["encoder", "decoder"]})
    with pytest.raises(
        ComparisonError, match=r"starting_point::parts=\['encoder', 'decoder'\] where the plan says \['encoder'\]"
    ):
        admit([genesis, encoder])


def test_recipes_may_differ_and_runs_of_one_recipe_may_not(tmp_path):
    content = {**plan_content(), "shots": [1], "recipes": {"plain": {}, "warm": {"overrides": {"learning_rate": 0.2}}}}
    del content["label_fractions"]
    plan = read_plan(write_plan(tmp_path, content))
    plain, _, warm, other = planned_runs(plan)[:4]
    leave(plain)
    leave(warm, learning_rate=0.2)
    leave(other, learning_rate=0.3)
    admit([plain, warm])
    with pytest.raises(ComparisonError, match=r"genesis, 1 shot, warm, seed 0 .* learning_rate is 0.3 here and 0.2"):
        admit([plain, warm, other])
    leave(plain, shots=2)
    with pytest.raises(ComparisonError, match="the training had shots=2 where the plan says 1"):
        admit([plain])


def test_a_baseline_may_differ_from_the_others_but_not_from_itself(plan, runs):
    leave(runs[2], network_def={"features": [4]})
    admit(runs)
    again = next(run for run in planned_runs(plan) if run.arm == "other" and run.seed == 1)
    leave(again, network_def={"features": [8]})
    with pytest.raises(ComparisonError, match="network_def::features::0 is 8 here and 4 there"):
        admit([*runs, again])


def test_intensities_taken_from_the_initial_weights_record_must_be_the_same(plan, runs):
    for run, lower in zip(runs, (-1000.0, -1024.0, 0.0, -1000.0), strict=True):
        preprocessing = {"intensity": {"mode": "window", "lower": lower}, "spacing": None}
        write_weights(run.weights_path, torch.nn.Linear(1, 1), preprocessing=preprocessing)
    with pytest.raises(
        ComparisonError, match=r"recorded preprocessing::intensity::lower is -1024.0 here and -1000.0 there"
    ):
        admit(runs)


def test_an_evaluation_without_a_table_of_cases_is_refused(plan, runs):
    (runs[0].evaluation_dir / "scores.csv").unlink()
    with pytest.raises(
        ComparisonError, match=r"expected the evaluation's scores.csv or predictions.csv, found neither"
    ):
        admit(runs)
    (runs[0].evaluation_dir / "predictions.csv").write_text("case,label\nx,1\n")
    assert cases_of(runs[0]).to_dict("list") == {"case": ["x"], "patient": ["x"]}
    (runs[0].evaluation_dir / "predictions.csv").write_text("name,label\nx,1\n")
    with pytest.raises(ComparisonError, match="expected a column 'case', found name, label"):
        cases_of(runs[0])


def test_test_patients_that_pretraining_has_seen_are_named(plan, runs):
    path = plan.working_dir / "weights/genesis.pt"
    assert "does not record which patients it was pretrained on" in pretraining_cautions(plan, runs)[0]
    write_checkpoint({"model": {}, "data": {"patient_hashes": patient_hashes(["CPTAC-1", "LIDC-3"])}}, path)
    assert pretraining_cautions(plan, runs) == []
    write_checkpoint({"model": {}, "data": {"patient_hashes": patient_hashes(["CPTAC-1", "LIDC-2"])}}, path)
    (warning,) = pretraining_cautions(plan, runs)
    assert warning.startswith("genesis: 1 of 2 test patients were seen in its pretraining (LIDC-2).")


def test_patients_are_seen_through_the_files_that_the_weights_started_from(plan, runs):
    path = plan.working_dir / "weights/genesis.pt"
    first = {
        "file": "first.pt",
        "data": {"patient_hashes": patient_hashes(["LIDC-2"])},
        "initial_weights": {"file": "none"},
    }
    second = {"file": "second.pt", "data": {"patient_hashes": patient_hashes(["CPTAC-1"])}, "initial_weights": first}
    third = {"model": {}, "data": {"patient_hashes": patient_hashes(["CPTAC-2"])}, "initial_weights": second}
    write_checkpoint(third, path)
    (warning,) = pretraining_cautions(plan, runs)
    assert "(LIDC-2)" in warning
    write_checkpoint({**third, "initial_weights": {"file": "published.pt", "data": {"file": "published.pt"}}}, path)
    assert "does not record which patients it was pretrained on" in pretraining_cautions(plan, runs)[0]
