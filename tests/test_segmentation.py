"""Fine-tuning for segmentation, its evaluation and inference, as a user runs them, and the target tasks in their data's layout."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import arguments, root_cause, run_here
from miniature_data import layout_of
from models_genesis_bundle.data import patient_hashes
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.files import RUN_MARKER
from models_genesis_bundle.weights import TransferError, read_checkpoint, read_weights
from monai.bundle import ConfigParser
from monai.data import decollate_batch
from scan_writers import truncate

SMALL = {
    "initial_weights": "none",
    "network_def::features": "[4,8]",
    "patch_size": "[32,32,16]",
    "precision": "float32",
    "panel_interval": 1,
    "panels::num_cases": 1,
}


def fine_tune(output_dir: Path, *overlays: str, **settings) -> Path:
    files = ["configs/finetune_segmentation.yaml", *(f"configs/{name}.yaml" for name in overlays)]
    merged = {**SMALL, "output_dir": output_dir, "max_epochs": 1, **settings}
    run_here("run", "training", "--config_file", str(files), *arguments(**merged))
    return output_dir / "checkpoints" / "model.pt"


def evaluate(ckpt_path: Path, output_dir: Path, **settings) -> dict:
    merged = {
        "network_def::features": "[4,8]",
        "precision": "float32",
        "ckpt_path": ckpt_path,
        "output_dir": output_dir,
    }
    run_here("run", "evaluating", "--config_file", "configs/evaluate.yaml", *arguments(**merged, **settings))
    return json.loads((output_dir / "summary.json").read_text())


@pytest.fixture(scope="module")
def labelled(phantoms):
    """The phantoms' datalist, and the names of its classes."""
    return {"dataset_dir": phantoms, "label_names": "['lung','nodule']"}


@pytest.fixture(scope="module")
def fine_tuned(labelled, pretrained, tmp_path_factory) -> Path:
    """The folder of a fine-tuning from the tiny pretrained weights, four epochs."""
    output_dir = tmp_path_factory.mktemp("fine_tuned")
    start = pretrained / "checkpoints" / "model.pt"
    settings = {"patches::num_samples": 8, **labelled}
    fine_tune(output_dir, initial_weights=start, max_epochs=4, learning_rate=0.01, **settings)
    return output_dir


def test_a_run_leaves_weights_with_all_that_evaluation_needs(fine_tuned, pretrained):
    lines = read_metrics(fine_tuned / "metrics.csv")
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    best = max(lines, key=lambda line: line["val_dice"])
    weights = read_weights(fine_tuned / "checkpoints" / "model.pt")
    assert weights["epoch"] == best["epoch"]
    assert weights["label_names"] == ["lung", "nodule"]
    assert weights["patch_size"] == [32, 32, 16]
    start = read_weights(pretrained / "checkpoints" / "model.pt")
    assert weights["preprocessing"] == start["preprocessing"]
    assert weights["initial_weights"]["data"] == start["data"]
    assert weights["model"]["head.weight"].shape[0] == 3
    assert (fine_tuned / "panels" / "epoch_0004.png").stat().st_size > 5_000
    assert (fine_tuned / "curves.png").stat().st_size > 5_000


def test_the_panels_know_the_file_and_the_sides_of_each_case(labelled):
    parser = ConfigParser(ConfigParser.load_config_files("configs/finetune_segmentation.yaml"))
    parser.update({**SMALL, **labelled, "label_names": ["lung", "nodule"], "patch_size": [32, 32, 16]})
    (case,) = decollate_batch(next(iter(parser.get_parsed_content("validate::dataloader"))))
    name, slices = parser.get_parsed_content("panels")._row({**case, "pred": case["label"]})
    assert name.startswith("phantom_")
    assert [one.sides for one in slices] == [("R", "L"), ("R", "L"), ("A", "P")]


def test_evaluation_scores_each_case_of_the_held_out_patients(fine_tuned, labelled, tmp_path):
    summary = evaluate(fine_tuned / "checkpoints" / "model.pt", tmp_path, dataset_dir=labelled["dataset_dir"])
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert summary["cases"] == len(rows) == 1
    trained = read_weights(fine_tuned / "checkpoints" / "model.pt")["data"]
    assert trained["scans"] == trained["patients"] == len(trained["patient_hashes"]) > 1
    assert set(patient_hashes(row["patient"] for row in rows)).isdisjoint(trained["patient_hashes"])
    assert summary["metrics"]["dice_lung"]["mean"] == pytest.approx(float(rows[0]["dice_lung"]), abs=1e-5)
    trained = read_weights(fine_tuned / "checkpoints" / "model.pt")["split"]
    assert trained["test_fraction"] == 0.2
    assert (tmp_path / "cases.png").stat().st_size > 5_000


def test_an_evaluation_names_patients_of_the_training(fine_tuned, phantoms, tmp_path):
    """Other lists than in the training, as a random split gives if scans were added since."""
    shutil.copytree(phantoms, tmp_path, dirs_exist_ok=True)
    pairs = [{key: f"{key}s/phantom_{number:03d}.nii.gz" for key in ("image", "label")} for number in range(4)]
    listed = [pair | {"patient": f"phantom_{number:03d}"} for number, pair in enumerate(pairs)]
    for key in ("image", "label"):
        shutil.copy(tmp_path / pairs[0][key], tmp_path / f"new_{key}.nii.gz")
        shutil.copy(tmp_path / pairs[0][key], tmp_path / f"newer_{key}.nii.gz")
    new = [{key: f"{name}_{key}.nii.gz" for key in ("image", "label")} | {"patient": name} for name in ("new", "newer")]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": new[:1], "validation": new[1:], "test": listed}))
    weights = fine_tuned / "checkpoints" / "model.pt"
    seen = evaluate(weights, tmp_path / "out", dataset_dir=tmp_path)["settings"]["seen_in_training"]
    assert patient_hashes(seen) == read_weights(weights)["data"]["patient_hashes"]


def test_bad_scans_and_labels_cost_no_others(pretrained, phantoms, tmp_path):
    """A truncated scan in training, a label of another shape in the test: both are named and counted, and the runs go on."""
    shutil.copytree(phantoms, tmp_path / "data")
    truncate(tmp_path / "data" / "images" / "phantom_000.nii.gz")
    label = nibabel.load(tmp_path / "data" / "labels" / "phantom_003.nii.gz")
    nibabel.save(label.slicer[1:], tmp_path / "data" / "labels" / "phantom_003.nii.gz")
    pairs = [{key: f"{key}s/phantom_{number:03d}.nii.gz" for key in ("image", "label")} for number in range(4)]
    shutil.copy(tmp_path / "data" / pairs[1]["image"], tmp_path / "data" / "again.nii.gz")
    shutil.copy(tmp_path / "data" / pairs[1]["label"], tmp_path / "data" / "again_label.nii.gz")
    good = {"image": "again.nii.gz", "label": "again_label.nii.gz", "skipped": "no"}
    lists = {"training": pairs[:2], "validation": pairs[2:3], "test": [good, pairs[3]]}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(lists))
    data = {"dataset_dir": tmp_path / "data", "label_names": "['lung','nodule']"}
    weights = fine_tune(tmp_path / "run", **data)
    assert read_weights(weights)["data"]["scans"] == 1
    summary = evaluate(weights, tmp_path / "test", dataset_dir=tmp_path / "data")
    assert summary["cases"] == 1
    ((image, reason),) = summary["skipped"].items()
    assert Path(image).name == "phantom_003.nii.gz"
    assert "its shape (63, 64, 48) differs from (64, 64, 48)" in reason
    for section in ("run", "test"):
        assert (tmp_path / section / RUN_MARKER).exists()


def test_label_maps_lie_where_the_scans_do(fine_tuned, phantoms, tmp_path):
    image = nibabel.load(phantoms / "images" / "phantom_000.nii.gz")
    turned = image.slicer[5:, :, 3:].as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
    scan = tmp_path / "turned.nii.gz"
    nibabel.save(turned, scan)
    settings = {
        "network_def::features": "[4,8]", "precision": "float32", "dataset_dir": scan, "output_dir": tmp_path / "out",
        "ckpt_path": fine_tuned / "checkpoints" / "model.pt", "save_probabilities": True, "device": "cpu",
    }  # fmt: skip
    run_here("run", "inferring", "--config_file", "configs/inference_segmentation.yaml", *arguments(**settings))
    labels = nibabel.load(tmp_path / "out" / "turned_segmentation.nii.gz")
    probabilities = nibabel.load(tmp_path / "out" / "turned_probabilities.nii.gz")
    assert labels.get_data_dtype() == np.uint8
    for written in (labels, probabilities):
        assert written.shape[:3] == turned.shape
        np.testing.assert_allclose(written.affine, turned.affine, atol=1e-4)
    chances = probabilities.get_fdata()
    np.testing.assert_allclose(chances.sum(-1), 1, atol=1e-3)
    assert np.array_equal(chances.argmax(-1), labels.get_fdata())


def test_resume_is_exact(labelled, fine_tuned, pretrained, tmp_path):
    settings = {
        "initial_weights": pretrained / "checkpoints" / "model.pt", "learning_rate": 0.01, "patches::num_samples": 8,
        "lr_scheduler::total_iters": 4, **labelled,
    }  # fmt: skip
    fine_tune(tmp_path, max_epochs=2, **settings)
    fine_tune(tmp_path, max_epochs=4, resume=True, **settings)
    wanted, found = (read_checkpoint(run / "checkpoints" / "last.pt") for run in (fine_tuned, tmp_path))
    assert all(torch.equal(wanted["model"][key], value) for key, value in found["model"].items())


def test_a_frozen_encoder_stays_and_the_head_learns(labelled, pretrained, tmp_path):
    start = pretrained / "checkpoints" / "model.pt"
    settings = {"starting_point::keep_weight_norms": False, "device": "cpu", **labelled}
    weights = fine_tune(tmp_path, initial_weights=start, freeze="[encoder]", **settings)
    before, after = read_weights(start)["model"], read_weights(weights)["model"]
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("encoder."))
    assert not torch.equal(before["decoder.stages.0.up.weight"], after["decoder.stages.0.up.weight"])


def test_weights_of_another_width_end_the_run(labelled, pretrained, tmp_path):
    start = pretrained / "checkpoints" / "model.pt"
    with pytest.raises(RuntimeError) as raised:
        fine_tune(tmp_path, initial_weights=start, **{**labelled, "network_def::features": "[8,16]"})
    assert isinstance(root_cause(raised.value), TransferError)
    assert not list(tmp_path.iterdir()), "an earlier run in the folder would stay where it is"


@pytest.mark.parametrize("task", ["ncs", "lcs", "bms", "lidc_nodules", "hippocampus"])
def test_a_task_trains_and_is_evaluated_on_its_data_as_distributed(task, phantoms, tmp_path):
    settings = layout_of(task, phantoms, tmp_path / "data")
    published = ("optimizer_adam", "schedule_plateau") if task in ("ncs", "lcs", "bms") else ()
    overlays = (*published, f"task_{task}")
    weights = fine_tune(tmp_path / "run", *overlays, dataset_dir=tmp_path / "data", batch_size=2, **settings)
    summary = evaluate(weights, tmp_path / "test", dataset_dir=tmp_path / "data")
    assert summary["cases"] == 1
    assert 0 <= summary["metrics"]["thresholded_mean_iou"]["mean"] <= 1


@pytest.mark.parametrize("network", ["segresnet", "dynunet"])
def test_monai_networks_train_by_an_overlay(network, labelled, tmp_path):
    narrow = {
        "segresnet": {"network_def::init_filters": 8, "network_def::blocks_down": "[1,1,1]"},
        "dynunet": {"network_def::filters": "[4,4,4,4,4]"},
    }
    settings = {**labelled, **narrow[network], "patch_size": "[32,32,32]"}
    words = {**SMALL, **settings, "output_dir": tmp_path, "max_epochs": 1}
    del words["network_def::features"]
    files = ["configs/finetune_segmentation.yaml", f"configs/network_{network}.yaml"]
    run_here("run", "training", "--config_file", str(files), *arguments(**words))
    assert read_metrics(tmp_path / "metrics.csv")[0]["train_loss"] > 0
