"""The command lines of runs, read back as the bundle reads them."""

from __future__ import annotations

import importlib.util

from fake_commands import plan_content, write_plan
from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.comparison import check_plan, planned_runs, read_plan
from models_genesis_bundle.comparison.run import words


def test_commands_are_read_back_as_they_were_meant(tmp_path):
    content = plan_content()
    content["task"] |= {
        "overrides": {"cube_size": [32, 32, 16], "num_classes": None, "dataset_dir": "/data/of mine"},
        "training_overrides": {
            "compile": False,
            "network_def::features": [4, 8],
            "learning_rate": 1e-5,
            "max_epochs": "$2 * 3",
            "intensity": {"mode": "z"},
        },
        "evaluation_overrides": {"penalty": -1},
    }
    content["initialisations"]["imagenet"] = {
        "initial_weights": "none",
        "baseline": True,
        "configs": ["configs/other_network.yaml"],
        "overrides": {"learning_rate": 0.5},
    }
    plan = read_plan(write_plan(tmp_path, content))
    entry = importlib.util.find_spec("monai.bundle.__main__").origin
    for run in planned_runs(plan):
        for step, wanted in (("training", run.training()), ("evaluating", run.evaluation())):
            line = words(step, wanted)
            assert line[1:5] == ["-m", "monai.bundle", "run", step]
            arrives = {name: "$None" if value is None else value for name, value in wanted.overrides.items()}
            found = RunCommand.from_arguments([entry, *line[3:]])
            assert (found.config_files, found.overrides) == (wanted.config_files, arrives)
    run = planned_runs(plan)[2]
    training, evaluation = run.training(), run.evaluation()
    assert run.arm == "imagenet"
    assert training.config_files == ("configs/train.yaml", "configs/task.yaml", "configs/other_network.yaml")
    assert training.overrides["learning_rate"] == 0.5, "a baseline's own settings win"
    assert "network_def::features" not in training.overrides, "meant for the network that the baseline replaces"
    assert "network_def::features" in planned_runs(plan)[1].training().overrides
    assert (training.overrides["initial_weights"], training.overrides["label_fraction"]) == ("none", 0.5)
    assert evaluation.overrides["ckpt_path"] == str(run.folder / "checkpoints" / "model.pt")
    assert "label_fraction" not in evaluation.overrides
    assert evaluation.overrides["section"] == "test"


def test_an_arm_may_load_parts_of_its_weights(tmp_path):
    content = plan_content()
    own = {"transfer_parts": ["encoder"], "keep_weight_norms": True}
    content["initialisations"]["encoder"] = {"initial_weights": "weights/genesis.pt", **own}
    plan = read_plan(write_plan(tmp_path, content))
    scratch, genesis, encoder = (run.training().overrides for run in planned_runs(plan)[:3])
    settings = {"starting_point::parts": ["encoder"], "starting_point::keep_weight_norms": True}
    assert encoder == {**genesis, **settings, "output_dir": encoder["output_dir"]}
    assert genesis.keys().isdisjoint(settings)
    assert scratch.keys().isdisjoint(settings)
    check_plan(plan)


def test_a_label_fraction_has_training_settings_of_its_own(tmp_path):
    content = plan_content()
    content["task"] |= {
        "training_overrides": {"max_epochs": 8},
        "fraction_overrides": {0.5: {"max_epochs": 16}, 1.0: {}},
    }
    plan = read_plan(write_plan(tmp_path, content))
    epochs = {run.labels.amount: run.training().overrides["max_epochs"] for run in planned_runs(plan)}
    assert epochs == {0.5: 16, 1.0: 8}
    assert all("max_epochs" not in run.evaluation().overrides for run in planned_runs(plan))


def test_shots_and_a_recipe_reach_the_commands_and_the_recipe_wins_over_the_task(tmp_path):
    content = plan_content()
    del content["label_fractions"]
    content["task"] |= {
        "training_overrides": {"learning_rate": 0.1, "max_epochs": 8},
        "shots_overrides": {3: {"max_epochs": 9}},
    }
    content["recipes"] = {
        "warm": {
            "training": ["configs/other_network.yaml"],
            "overrides": {"learning_rate": 0.2},
            "training_overrides": {"compile": True},
            "evaluation_overrides": {"penalty": 2},
        }
    }
    plan = read_plan(write_plan(tmp_path, {**content, "shots": [3], "section": "validation"}))
    run = planned_runs(plan)[1]
    training, evaluation = run.training(), run.evaluation()
    assert training.config_files == ("configs/train.yaml", "configs/task.yaml", "configs/other_network.yaml")
    assert evaluation.config_files == ("configs/evaluate.yaml", "configs/task.yaml")
    wanted = {"learning_rate": 0.2, "compile": True, "max_epochs": 9, "shots": 3}
    assert {name: training.overrides.get(name) for name in (*wanted, "label_fraction", "penalty")} == {
        **wanted,
        "label_fraction": None,
        "penalty": None,
    }
    assert (evaluation.overrides["learning_rate"], evaluation.overrides["penalty"]) == (0.2, 2)
    assert evaluation.overrides["section"] == "validation"
    assert evaluation.overrides["output_dir"] == str(run.folder / "validation")
