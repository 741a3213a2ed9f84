"""Pretraining as a user runs it: what it leaves behind, and that it goes on after any interruption."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
import torch
import yaml
from bundle_commands import TINY, arguments, finish, root_cause, run_here, start
from ignite.engine import Events
from models_genesis_bundle.bundle_config import RunCommand, RunFolder
from models_genesis_bundle.engines import NonFiniteStepError, read_metrics
from models_genesis_bundle.weights import read_checkpoint, read_weights
from monai.bundle import ConfigWorkflow


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_run_leaves_weights_figures_and_pictures(pretrained):
    lines = read_metrics(pretrained / "metrics.csv")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert len({line["identity_mse"] for line in lines}) == 1, "validation pairs must be the same in every epoch"
    best = min(lines, key=lambda line: line["val_mse"])
    assert best["val_mse"] < 0.7 * best["identity_mse"], "the network must do better than doing nothing"
    weights = read_weights(pretrained / "checkpoints" / "model.pt")
    assert weights["epoch"] == best["epoch"]
    assert weights["network"]["arguments"]["features"] == [4, 8]
    assert weights["preprocessing"]["intensity"]["lower"] == -1000
    assert set(weights["model"]) == {key for keys in weights["network"]["parts"].values() for key in keys}
    assert (pretrained / "panels" / "epoch_0001.png").stat().st_size > 10_000
    assert (pretrained / "curves.png").stat().st_size > 10_000
    assert list((pretrained / "tensorboard").glob("events*"))
    assert yaml.safe_load((pretrained / "config.yaml").read_text())["network_def"]["features"] == [4, 8]
    assert json.loads((pretrained / "environment.json").read_text())["packages"]["monai"]


def test_killed_at_any_moment_it_resumes_to_the_same_weights(pretrain_words, pretrained, tmp_path):
    """SIGKILL after the first epoch and then at random moments; the end is bit-identical to the run never stopped."""
    moments = random.Random(0)
    last = tmp_path / "checkpoints" / "last.pt"
    process = start(*pretrain_words(tmp_path, max_epochs=4))
    while not last.exists():
        assert process.poll() is None, process.communicate()[0][-4000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_checkpoint(last)["trainer"]["epoch"] < 4
    for _ in range(2):
        process = start(*pretrain_words(tmp_path, max_epochs=4, resume="true"))
        time.sleep(moments.uniform(7, 12))
        process.kill()
        process.communicate()
        read_checkpoint(last)
    finish(start(*pretrain_words(tmp_path, max_epochs=4, resume="true")))
    wanted, found = (read_checkpoint(path / "checkpoints" / "last.pt") for path in (pretrained, tmp_path))
    assert same(wanted["model"], found["model"])
    assert found["trainer"] == wanted["trainer"]
    assert found["best"] == wanted["best"]
    compared = ("epoch", "learning_rate", "train_mse", "val_mse", "val_ssim")
    tables = [read_metrics(path / "metrics.csv") for path in (pretrained, tmp_path)]
    assert [[line[name] for name in compared] for line in tables[0]] == [
        [line[name] for name in compared] for line in tables[1]
    ]


DROPOUT = {"network_def::features": "[4,4,8,8,8,4]", "network_def::dropout": 0.3}


@pytest.fixture(scope="module")
def with_dropout(pretrain, tmp_path_factory) -> dict:
    """The state of a network with dropout behind two epochs without workers."""
    whole = tmp_path_factory.mktemp("with_dropout")
    pretrain(whole, "configs/network_basicunet.yaml", **DROPOUT)
    return read_checkpoint(whole / "checkpoints" / "last.pt")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_and_epochs_in_two_parts_change_nothing(pretrain, with_dropout, tmp_path, workers):
    for epochs, resume in ((1, "false"), (2, "true")):
        switch = {"resume": resume} if resume == "true" else {}
        pretrain(
            tmp_path, "configs/network_basicunet.yaml", max_epochs=epochs, num_workers=workers, **DROPOUT, **switch
        )
    assert same(with_dropout["model"], read_checkpoint(tmp_path / "checkpoints" / "last.pt")["model"])


def test_a_second_run_puts_the_first_aside(pretrain, tmp_path):
    pretrain(tmp_path, max_epochs=1)
    pretrain(tmp_path, max_epochs=1, seed=1, device="cpu")
    assert (tmp_path / "previous" / "1" / "checkpoints" / "last.pt").exists()
    assert (tmp_path / "previous" / "1" / "metrics.csv").exists()
    assert (tmp_path / "checkpoints" / "last.pt").exists()


def test_a_misspelt_setting_is_refused_with_the_nearest_name(pretrain, tmp_path):
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path / "never", max_epohcs=5)
    assert "did you mean `--max_epochs`?" in str(root_cause(raised.value))
    assert not (tmp_path / "never").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_scans(pretrain, tmp_path, phantoms):
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path, max_epochs=3, learning_rate="1e30", output_activation="$None")
    error = root_cause(raised.value)
    assert isinstance(error, NonFiniteStepError)
    assert str(phantoms / "images") in str(error)


def test_averaged_weights_are_validated_kept_and_resumed(pretrain, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    momentum = {"ema::momentum": 0.1}
    pretrain(whole, "configs/ema.yaml", max_epochs=2, **momentum)
    pretrain(parts, "configs/ema.yaml", max_epochs=1, **momentum)
    pretrain(parts, "configs/ema.yaml", max_epochs=2, resume="true", **momentum)
    states = [read_checkpoint(path / "checkpoints" / "last.pt") for path in (whole, parts)]
    assert same(states[0]["ema"], states[1]["ema"])
    assert not same(states[0]["ema"], states[0]["model"])
    best = read_weights(whole / "checkpoints" / "model.pt")
    if best["epoch"] == 2:
        assert same(best["model"], states[0]["ema"])


def test_it_goes_on_from_other_weights_as_wide_and_as_preprocessed_as_they_are(pretrain, phantoms, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    pretrain(first, max_epochs=2, **{"scan_preprocessing::spacing": 6.0})
    settings = {key: value for key, value in TINY.items() if key != "network_def::features"}
    settings |= {"dataset_dir": phantoms / "images", "output_dir": second, "max_epochs": 1}
    settings["initial_weights"] = first / "checkpoints" / "model.pt"
    run_here("run", "training", "--config_file", "configs/pretrain.yaml", *arguments(**settings))
    before, after = (read_weights(run / "checkpoints" / "model.pt") for run in (first, second))
    assert after["network"] == before["network"]
    assert after["preprocessing"] == before["preprocessing"]
    assert after["preprocessing"]["spacing"] == [6.0, 6.0, 6.0]
    assert after["initial_weights"]["data"] == before["data"]
    outcomes = {part: set(counts) for part, counts in after["initial_weights"]["transfer"].items()}
    assert outcomes == {"encoder": {"loaded"}, "decoder": {"loaded"}, "head": {"loaded"}}
    errors = [read_metrics(run / "metrics.csv")[0]["val_mse"] for run in (first, second)]
    assert errors[1] < errors[0], "its first epoch must end ahead of the first from scratch"


@pytest.mark.parametrize("overlay", ["optimizer_muon", "data_mr", "data_zscore"])
def test_overlays_train(pretrain, tmp_path, overlay):
    pretrain(tmp_path, f"configs/{overlay}.yaml", max_epochs=1, learning_rate="1e-3")
    assert read_metrics(tmp_path / "metrics.csv")[0]["val_mse"] > 0


@pytest.mark.parametrize(("task", "untouched"), [("autoencoder", 0.0), ("denoising", 0.01), ("masked", None)])
def test_other_pretext_tasks_train_and_are_recorded(pretrain, tmp_path, task, untouched):
    pretrain(tmp_path, f"configs/pretext_{task}.yaml")
    lines = read_metrics(tmp_path / "metrics.csv")
    assert lines[1]["val_mse"] < lines[0]["val_mse"]
    assert lines[0]["identity_mse"] == pytest.approx(untouched, rel=0.01) if untouched is not None else True
    assert read_weights(tmp_path / "checkpoints" / "model.pt")["pretext"] == task
    assert (tmp_path / "panels" / "epoch_0001.png").stat().st_size > 10_000


def test_a_masked_run_does_not_resume_as_another_task(pretrain, tmp_path):
    pretrain(tmp_path, "configs/pretext_masked.yaml", max_epochs=1)
    pretrain(tmp_path, "configs/pretext_masked.yaml", max_epochs=2, resume="true")
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path, max_epochs=3, resume="true")
    assert "deformations::masking" in str(root_cause(raised.value))


def test_two_processes_share_the_cubes_one_writes_and_both_resume_exactly(pretrain_words, phantoms, tmp_path):
    """In two parts, with dropout and a worker, as in one."""
    overlays = ("configs/network_basicunet.yaml", "configs/multi_gpu.yaml")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    commands = [
        pretrain_words(whole, *overlays, **DROPOUT),
        pretrain_words(parts, *overlays, **DROPOUT, max_epochs=1, num_workers=1),
        pretrain_words(parts, *overlays, **DROPOUT, resume="true", num_workers=1),
    ]
    for words in commands:
        together = ("--standalone", "--nproc_per_node", "2", "-m", "monai.bundle")
        finish(start(*together, *words, module="torch.distributed.run"))
    assert len(list((whole / "tensorboard").glob("events*"))) == 1
    assert [line["epoch"] for line in read_metrics(whole / "metrics.csv")] == [1, 2]
    wanted, found = (read_checkpoint(path / "checkpoints" / "last.pt") for path in (whole, parts))
    assert not any(key.startswith("module.") for key in wanted["model"])
    cubes = 3 * int(TINY["cubes_per_scan"])
    assert wanted["trainer"]["iteration"] == 2 * -(-cubes // 2 // int(TINY["batch_size"])), (
        "each rank has half the cubes"
    )
    assert len(wanted["processes"]) == 2
    assert same(wanted["model"], found["model"])


def test_a_workflow_that_was_looked_into_runs_again_in_the_same_process(pretrain_words, tmp_path):
    """As the zoo's `check_workflow` does it; a run that does not end as planned leaves its folder, too."""
    for attempt in range(2):
        command = RunCommand.from_arguments(["/monai/bundle/__main__.py", *pretrain_words(tmp_path, max_epochs=1)])
        workflow = ConfigWorkflow(list(command.config_files), run_id="training", **command.overrides)
        workflow.initialize()
        assert workflow.check_properties() == []
        if attempt:
            workflow.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: signal.raise_signal(signal.SIGTERM))
            with pytest.raises(SystemExit, match="143"):
                workflow.run()
        else:
            workflow.run()
            workflow.finalize()
        RunFolder(str(tmp_path)).begin()
    assert len(list((tmp_path / "previous" / "1" / "tensorboard").glob("events*"))) == 1
    assert len(list((tmp_path / "tensorboard").glob("events*"))) == 1
