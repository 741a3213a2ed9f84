"""A comparison without networks: a plan, and a program that takes the words of the runs."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

PROGRAM = (sys.executable, "-S", str(Path(__file__).with_name("fake_run.py")))


def plan_content() -> dict:
    return {
        "output_dir": "results",
        "task": {
            "name": "phantoms",
            "training": ["configs/train.yaml", "configs/task.yaml"],
            "evaluation": ["configs/evaluate.yaml", "configs/task.yaml"],
            "metric": "dice_mean",
            "validation_metric": "val_mean_dice",
        },
        "initialisations": {"scratch": "none", "genesis": "weights/genesis.pt"},
        "reference": "scratch",
        "seeds": [0, 1],
        "label_fractions": [1.0, 0.5],
        "jobs": 2,
    }


def write_plan(folder: Path, content: dict | None = None) -> Path:
    """Write a plan into a folder, with the configurations and weights that it names."""
    shared = {"output_dir": "out", "seed": 0, "max_epochs": 10, "cube_size": [64, 64, 32], "learning_rate": 0.1}
    shared |= {"dataset_dir": None, "num_classes": 2, "network_def": None}
    training = {
        **shared,
        "initial_weights": "none",
        "starting_point": {"parts": ["encoder"], "keep_weight_norms": False},
        "label_fraction": 1.0,
        "shots": None,
        "resume": False,
    }
    for name, settings in {
        "train": training,
        "evaluate": {**shared, "ckpt_path": "model.pt", "penalty": 0, "section": "test"},
        "task": {"dataset_dir": "data", "num_classes": 2},
        "other_network": {"network_def": {"_target_": "models_genesis_bundle.networks.GenesisUNet"}},
    }.items():
        path = folder / "configs" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(settings))
    weights = folder / "weights" / "genesis.pt"
    weights.parent.mkdir(exist_ok=True)
    if not weights.exists():
        weights.write_bytes(b"weights")
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**(content or plan_content()), "working_dir": str(folder)}, sort_keys=False))
    return path


def journal(folder: Path) -> list[str]:
    """A line for each training or evaluation that was started: step, arm, whether it went on."""
    path = folder / "journal.txt"
    return path.read_text().splitlines() if path.exists() else []
