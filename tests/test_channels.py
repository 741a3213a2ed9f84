"""Scans of several channels, from fine-tuning to inference, in the layouts that users have them in."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundle_commands import arguments, root_cause, run_here
from miniature_data import two_channels
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.weights import read_weights

FEW = {"split::validation_fraction": 1, "split::test_fraction": 1}
CHANNELS = {"scan_preprocessing::channels": 2, "scan_preprocessing::intensity": "percentile"}
NETWORK = {"network_def::features": "[4,8]", "precision": "float32"}


def run(command: str, config: str, **settings) -> None:
    run_here("run", command, "--config_file", f"configs/{config}.yaml", *arguments(**settings))


def fine_tune(output_dir: Path, dataset_dir: Path, **settings) -> Path:
    merged = {
        **NETWORK, **CHANNELS, "initial_weights": "none", "patch_size": "[32,32,16]", "panels::num_cases": 1, "max_epochs": 1,
        "label_names": "['lung','nodule']", "dataset_dir": dataset_dir, "output_dir": output_dir, **settings,
    }  # fmt: skip
    run("training", "finetune_segmentation", **merged)
    return output_dir / "checkpoints" / "model.pt"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(phantoms, pretrained, tmp_path_factory) -> Path:
    """Weights for two channels, fine-tuned from those of one on nnU-Net's folders."""
    folder = tmp_path_factory.mktemp("two_channels")
    data = two_channels(phantoms, folder / "data", "nnunet")
    start = pretrained / "checkpoints" / "model.pt"
    return fine_tune(folder / "run", data, initial_weights=start, **FEW)


def test_the_weights_say_which_channels_they_are_for(trained):
    weights = read_weights(trained)
    assert weights["preprocessing"]["channels"] == 2
    assert weights["network"]["arguments"]["in_channels"] == 2
    assert weights["initial_weights"]["transfer"]["encoder"]["adapted"]["tensors"] == 1
    assert weights["data"]["patients"] == 2


def test_evaluation_and_inference_follow_the_weights(trained, phantoms, tmp_path):
    data = trained.parents[2] / "data"
    run(
        "evaluating", "evaluate", dataset_dir=data, ckpt_path=trained, output_dir=tmp_path / "test", precision="float32"
    )
    (scored,) = rows_of(tmp_path / "test" / "scores.csv")
    assert scored["case"].startswith("case_"), "named after the scan, not after the file of its first channel"
    assert not scored["case"].endswith("_0000")
    new = {"nnunet": tmp_path / "nnunet" / "imagesTr", "4d": tmp_path / "4d" / "images", "lists": tmp_path / "lists"}
    results = {}
    for layout, folder in new.items():
        two_channels(phantoms, tmp_path / layout, layout, unlabelled=layout != "lists")
        (tmp_path / "4d" / "datalist.json").unlink(missing_ok=True)
        output_dir = tmp_path / f"new_{layout}"
        run(
            "inferring", "inference_segmentation", dataset_dir=folder, ckpt_path=trained, output_dir=output_dir,
            save_probabilities=True, precision="float32",
        )  # fmt: skip
        found = sorted(output_dir.rglob("*_probabilities.nii.gz"))
        assert len(found) == 4
        results[layout] = [np.asarray(nibabel.load(file).dataobj) for file in found]
    assert sorted(file.name for file in (tmp_path / "new_nnunet").glob("*_segmentation.nii.gz"))[0].startswith(
        "case_0_s"
    )
    for layout in ("4d", "lists"):
        np.testing.assert_allclose(results[layout], results["nnunet"], atol=1e-5)


def test_embedding_follows_the_weights_and_takes_each_file_for_those_of_one_channel(
    trained, pretrained, phantoms, tmp_path
):
    listed = two_channels(phantoms, tmp_path / "data", "lists")
    for weights, count in ((trained, 4), (pretrained / "checkpoints" / "model.pt", 8)):
        output_dir = tmp_path / f"vectors_{count}"
        run(
            "embedding", "embed", dataset_dir=listed, ckpt_path=weights, output_dir=output_dir, places="centre",
            precision="float32",
        )  # fmt: skip
        content = np.load(output_dir / "embeddings.npz")
        assert len(content["vectors"]) == count
        assert len(set(content["patient"].tolist())) == 4


def test_one_channel_more_than_the_network_sees_ends_an_inference_before_it_starts(trained, phantoms, tmp_path):
    data = two_channels(phantoms, tmp_path / "data", "nnunet", unlabelled=True) / "imagesTr"
    shutil.copy(data / "case_0_0000.nii.gz", data / "case_0_0002.nii.gz")
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the workflow wraps it
        run("inferring", "inference_segmentation", dataset_dir=data, ckpt_path=trained, output_dir=tmp_path / "new")
    error = root_cause(raised.value)
    assert isinstance(error, DatalistError)
    assert "case_0 has case_0_0000.nii.gz, case_0_0001.nii.gz, case_0_0002.nii.gz" in str(error)
    assert not (tmp_path / "new").exists()


def test_names_of_channels_find_the_files_of_brats(phantoms, tmp_path):
    data = two_channels(phantoms, tmp_path / "data", "brats")
    weights = read_weights(
        fine_tune(tmp_path / "run", data, **{"scan_preprocessing::channels": "['flair','t1']"}, **FEW)
    )
    assert weights["preprocessing"]["channels"] == ["flair", "t1"]
    assert weights["data"]["scans"] == 2


def test_classification_of_two_channels(pretrained, phantoms, tmp_path):
    listed = two_channels(phantoms, tmp_path / "data", "lists")
    content = json.loads(listed.read_text())
    content["validation"] += content.pop("test")  # so that it has both classes
    listed.write_text(json.dumps(content))
    small = {**NETWORK, "network_def::hidden": 8, "volumes::num_workers": 0, "cache_dir": tmp_path / "cache"}
    run(
        "training", "finetune_classification", **small, **CHANNELS, dataset_dir=listed, output_dir=tmp_path / "run",
        cube_size="[16,16,16]", max_epochs=1, num_workers=0, initial_weights=pretrained / "checkpoints" / "model.pt",
        **{"split::class_key": "side", "split::test_fraction": 0},
    )  # fmt: skip
    trained = tmp_path / "run" / "checkpoints" / "model.pt"
    assert read_weights(trained)["network"]["arguments"]["in_channels"] == 2
    known = {**small, "dataset_dir": listed, "ckpt_path": trained}
    run(
        "evaluating", "evaluate_classification", **known, section="validation", output_dir=tmp_path / "validation",
        **{"report::resamples": 50},
    )  # fmt: skip
    run("inferring", "inference_classification", **known, output_dir=tmp_path / "new")
    evaluated, new = (
        {row["case"]: row["probability_class 1"] for row in rows_of(tmp_path / name / "predictions.csv")}
        for name in ("validation", "new")
    )
    assert len(new) == 4
    assert {case: new[case] for case in evaluated} == pytest.approx(evaluated)
