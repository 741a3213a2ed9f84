"""Experiment tracking by MLflow: what a run leaves in a local file, read back."""

from __future__ import annotations

import importlib.util
import json

import pytest
from bundle_commands import arguments, run_here
from models_genesis_bundle.data import phantom_candidates
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.weights import write_checkpoint

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="needs mlflow: pip install models-genesis-bundle[tracking]"
)
SMALL = {"network_def::features": "[4,8]", "precision": "float32", "max_epochs": 1}


def tracked(output_dir):
    """The one MLflow run of a run's folder."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output_dir}/mlruns.db")
    (experiment,) = (one for one in client.search_experiments() if one.name != "Default")
    (run,) = client.search_runs([experiment.experiment_id])
    return client, experiment, run


def test_pretraining_is_tracked_again_after_an_earlier_run_in_the_same_folder(pretrain, tmp_path):
    write_checkpoint({"epoch": 1}, tmp_path / "checkpoints" / "last.pt")
    (tmp_path / "config_20200101_000000.json").write_text("{}")
    pretrain(tmp_path, tracking="mlflow", max_epochs=1)
    client, _, run = tracked(tmp_path)
    (line,) = read_metrics(tmp_path / "metrics.csv")
    assert run.info.status == "FINISHED"
    for name in ("val_mse", "train_mse"):
        assert run.data.metrics[name] == pytest.approx(line[name], rel=1e-6)
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    assert [loss.step for loss in losses] == [1, 2, 3], "three cubes' scans, four cubes each, in batches of four"
    (config,) = tmp_path.glob("config_*.json")
    assert json.loads(config.read_text())["max_epochs"] == 1
    assert (tmp_path / "previous" / "1" / "config_20200101_000000.json").exists()


def test_settings_file_names_the_experiment_and_records_parameters(pretrain, tmp_path):
    pretrain(tmp_path, tracking="configs/tracking_mlflow.json", max_epochs=1, experiment_name="hospital")
    client, experiment, run = tracked(tmp_path)
    assert experiment.name == "hospital"
    assert {name: run.data.params[name] for name in ("max_epochs", "batch_size")} == {
        "max_epochs": "1",
        "batch_size": "4",
    }
    assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 3
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["config.yaml"]


def test_fine_tuning_for_segmentation_is_tracked(phantoms, tmp_path):
    settings = {**SMALL, "dataset_dir": phantoms, "label_names": "['lung','nodule']", "patch_size": "[32,32,16]"}
    settings |= {"initial_weights": "none", "output_dir": tmp_path, "tracking": "mlflow"}
    run_here("run", "training", "--config_file", "configs/finetune_segmentation.yaml", *arguments(**settings))
    _, _, run = tracked(tmp_path)
    assert {"train_loss", "val_dice"} <= set(run.data.metrics)


def test_fine_tuning_for_classification_is_tracked(phantoms, tmp_path):
    settings = {**SMALL, "dataset_dir": phantoms / "images", "candidates_file": phantom_candidates(phantoms)}
    settings |= {"network_def::hidden": 8, "cube_size": "[16,16,16]", "num_workers": 0, "volumes::num_workers": 0}
    settings |= {"initial_weights": "none", "output_dir": tmp_path, "tracking": "mlflow"}
    run_here("run", "training", "--config_file", "configs/finetune_classification.yaml", *arguments(**settings))
    _, _, run = tracked(tmp_path)
    assert {"train_loss", "val_auc"} <= set(run.data.metrics)
