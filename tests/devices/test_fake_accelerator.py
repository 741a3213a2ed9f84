"""Every training, evaluation and inference on a device that keeps its tensors to itself, as a GPU does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_commands import ROOT, TINY, arguments

HERE = Path(__file__).parent
DEVICE = {"device": "fgpu:0", "precision": "float32", "network_def::features": "[4,8]"}


@pytest.fixture(scope="module")
def run_on_fake_accelerator(tmp_path_factory):
    """Runs bundle commands one after the other in one process, on the fake accelerator."""
    for tool in ("c++", "ninja"):
        if shutil.which(tool) is None:
            pytest.skip(f"the fake accelerator is built by {tool}, which this machine does not have")

    def run(*commands: list[str]) -> str:
        process = subprocess.run(
            [sys.executable, HERE / "fake_accelerator.py", tmp_path_factory.mktemp("build"), json.dumps(commands)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.returncode == 0, process.stdout[-4000:]
        return process.stdout

    return run


def command(run_id: str, config_file: str, **settings) -> list[str]:
    return ["run", run_id, "--config_file", config_file, *arguments(**DEVICE | settings)]


def test_every_workflow_runs_on_an_accelerator(run_on_fake_accelerator, phantoms, tmp_path):
    weights, segmentation, classification = (
        tmp_path / name / "checkpoints" / "model.pt" for name in ("pretrain", "segment", "classify")
    )
    pretrain = {**TINY, "dataset_dir": phantoms / "images", "output_dir": tmp_path / "pretrain", "max_epochs": 1}
    labels = {"dataset_dir": phantoms, "label_names": "['lung','nodule']", "patch_size": "[32,32,16]"}
    classes = {"cache_dir": tmp_path / "cache", "source::count": 6}
    overlays = "['configs/pretrain.yaml','configs/optimizer_muon.yaml','configs/ema.yaml']"
    run_on_fake_accelerator(
        command("training", overlays, **pretrain),
        command("training", overlays, **{**pretrain, "max_epochs": 2, "resume": True}),
        command(
            "inferring",
            "configs/inference.yaml",
            dataset_dir=phantoms / "images",
            ckpt_path=weights,
            output_dir=tmp_path / "restored",
        ),
        command(
            "training",
            "configs/finetune_segmentation.yaml",
            **labels,
            initial_weights=weights,
            max_epochs=1,
            panel_interval=1,
            output_dir=tmp_path / "segment",
        ),
        command(
            "evaluating",
            "configs/evaluate.yaml",
            dataset_dir=phantoms,
            ckpt_path=segmentation,
            output_dir=tmp_path / "evaluated",
        ),
        command(
            "inferring",
            "configs/inference_segmentation.yaml",
            dataset_dir=phantoms / "images",
            ckpt_path=segmentation,
            output_dir=tmp_path / "segmented",
        ),
        command(
            "training",
            "configs/finetune_classification.yaml",
            **classes,
            cube_size="[32,32,32]",
            initial_weights=weights,
            max_epochs=1,
            output_dir=tmp_path / "classify",
        ),
        command(
            "evaluating",
            "configs/evaluate_classification.yaml",
            **classes,
            ckpt_path=classification,
            output_dir=tmp_path / "classified",
        ),
    )
    assert len(list((tmp_path / "restored").rglob("*.nii.gz"))) == 4
    assert len(list((tmp_path / "segmented").rglob("*.nii.gz"))) == 4
    assert 0 <= json.loads((tmp_path / "evaluated" / "summary.json").read_text())["metrics"]["dice_mean"]["mean"] <= 1
    assert 0 <= json.loads((tmp_path / "classified" / "summary.json").read_text())["metrics"]["auc"]["mean"] <= 1
