"""The command lines of runs, read back as the bundle reads them."""

from __future__ import annotations

import importlib.util

from fake_commands import plan_content, write_plan

from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.comparison import BundleCommands, planned_runs, read_plan
from models_genesis_bundle.comparison.commands import evaluation_command, training_command
from models_genesis_bundle.comparison.guards import check_plan


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
    commands = BundleCommands(plan)
    entry = importlib.util.find_spec("monai.bundle.__main__").origin
    for run in planned_runs(plan):
        for words, wanted in (
            (commands.train(run), training_command(plan, run)),
            (commands.evaluate(run), evaluation_command(plan, run)),
        ):
            assert words[1:4] == ["-m", "monai.bundle", "run"]
            arrives = {name: "$None" if value is None else value for name, value in wanted.overrides.items()}
            found = RunCommand.from_arguments([entry, *words[3:]])
            assert (found.config_files, found.overrides) == (wanted.config_files, arrives)
    run = planned_runs(plan)[2]
    training, evaluation = training_command(plan, run), evaluation_command(plan, run)
    assert run.arm.name == "imagenet"
    assert training.config_files == ("configs/train.yaml", "configs/task.yaml", "configs/other_network.yaml")
    assert training.overrides["learning_rate"] == 0.5, "a baseline's own settings win"
    assert "network_def::features" not in training.overrides, "meant for the network that the baseline replaces"
    assert "network_def::features" in training_command(plan, planned_runs(plan)[1]).overrides
    assert (training.overrides["initial_weights"], training.overrides["label_fraction"]) == ("none", 0.5)
    assert evaluation.overrides["ckpt_path"] == str(run.folder / "checkpoints" / "model.pt")
    assert "label_fraction" not in evaluation.overrides


def test_an_arm_may_load_parts_of_its_weights(tmp_path):
    content = plan_content()
    own = {"transfer_parts": ["encoder"], "keep_weight_norms": True}
    content["initialisations"]["encoder"] = {"initial_weights": "weights/genesis.pt", **own}
    plan = read_plan(write_plan(tmp_path, content))
    scratch, genesis, encoder = (training_command(plan, run).overrides for run in planned_runs(plan)[:3])
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
    epochs = {run.block[0]: training_command(plan, run).overrides["max_epochs"] for run in planned_runs(plan)}
    assert epochs == {0.5: 16, 1.0: 8}
    assert all("max_epochs" not in evaluation_command(plan, run).overrides for run in planned_runs(plan))
