"""Check on a GPU what the tests check on a CPU, in under ten minutes: python scripts/gpu_check.py --output_dir runs/gpu_check

``gpu_check.json`` is written after every command, so that an interrupted check keeps its results; the commands' output is next to
it. For a single part: ``--parts "['resume']"``. A machine that has torch but no MONAI needs five wheels (5.5 MiB): monai,
pytorch-ignite, nibabel, fire and termcolor. For the speed see ``benchmark.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from bundle_path import ROOT, start
from models_genesis_bundle.bundle_config import usable_device
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights import read_checkpoint

SMALL = {
    "network_def::features": "[8,16,32]",
    "cube_size": "[32,32,16]",
    "cubes_per_scan": 8,
    "batch_size": 4,
    "learning_rate": 0.1,
    "max_epochs": 3,
    "num_workers": 2,
    "panels::num_cubes": 2,
}
PRETRAIN = "configs/pretrain.yaml"
SECONDS = 180  # for one command


class Check:
    """Runs commands of the bundle on a device, and records their results in ``gpu_check.json`` in a folder."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self.device = device
        name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
        self.found: dict[str, Any] = {"torch": torch.__version__, "device": name}

    @property
    def failed(self) -> list[str]:
        """Names of commands that failed and of wrong results."""
        return [name for name, value in self.found.items() if isinstance(value, dict) and not value["passed"]]

    def record(self, name: str, **value: Any) -> None:
        """Keep a result, and write all of them."""
        self.found[name] = value
        print(name, json.dumps(value), flush=True)
        write_json(self.folder / "gpu_check.json", self.found)

    def python(self, name: str, *words: str, **settings: Any) -> None:
        """Run Python with these arguments and settings, from the bundle's root."""
        words = (*words, *(word for option, value in settings.items() for word in (f"--{option}", str(value))))
        log = self.folder / f"{name}.log"
        started = time.perf_counter()
        with log.open("w") as output:
            try:
                status = subprocess.run(
                    [sys.executable, *words],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=SECONDS,
                ).returncode
            except subprocess.TimeoutExpired:
                status = None
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        seconds = round(time.perf_counter() - started, 1)
        self.record(name, passed=status == 0, seconds=seconds, **({} if status == 0 else {"error": last}))

    def bundle(self, name: str, run_id: str, config_file: str, **settings: Any) -> Path:
        """Run a command of the bundle, and return its output folder."""
        settings = {"config_file": config_file, "output_dir": self.folder / name, "device": self.device, **settings}
        self.python(name, "-m", "monai.bundle", "run", run_id, **settings)
        return Path(settings["output_dir"])

    def phantoms(self) -> Path:
        """A folder of six phantoms with labels."""
        folder = self.folder / "phantoms"
        if not folder.exists():
            sides = {"size": "(64,64,48)", "spacing": "(5.0,5.0,6.0)"}
            self.python("make_phantoms", "scripts/make_phantoms.py", directory=folder, count=6, **sides)
        return folder

    def pretrain(self, name: str, config_file: str = PRETRAIN, **settings: Any) -> Path:
        """Pretrain a small network on the phantoms."""
        data = {"dataset_dir": self.phantoms() / "images", "cache_dir": self.folder / "cache"}
        return self.bundle(name, "training", config_file, **{**SMALL, **data, **settings})


def formats(check: Check) -> None:
    """Every number format trains, and restores about as well as float32 on the CPU."""

    def error(run: Path) -> float:
        return read_metrics(run / "metrics.csv")[-1]["val_mse"]

    reference = error(check.pretrain("cpu", device="cpu", precision="float32"))
    names = ["float32", "auto"] if check.device == "cpu" else ["float32", "auto", "bfloat16", "float16"]
    for precision in names:
        found = error(check.pretrain(precision, precision=precision))
        check.record(f"val_mse_{precision}", passed=abs(found / reference - 1) < 0.1, found=found, on_cpu=reference)
    compiled: dict[str, Any] = {"train::trainer::compile": True, "max_epochs": 2}
    check.pretrain("compiled", **compiled)


def resume(check: Check) -> None:
    """A run gives the same weights twice, and also when it is interrupted and resumed, bit by bit."""
    overlays = f"['{PRETRAIN}','configs/ema.yaml','configs/optimizer_muon.yaml']"
    settings: dict[str, Any] = {"learning_rate": 0.002, "lr_scheduler::T_max": 3}
    whole = check.pretrain("whole", overlays, **settings)
    again = check.pretrain("again", overlays, **settings)
    parts = check.pretrain("parts", overlays, **settings, max_epochs=1)
    check.pretrain("resumed", overlays, **settings, output_dir=parts, resume=True)
    for name, other in (("repeated", again), ("resumed", parts)):
        first, second = (read_checkpoint(run / "checkpoints" / "last.pt")["model"] for run in (whole, other))
        largest = max(float((first[key].double() - second[key].double()).abs().max()) for key in first)
        check.record(f"{name}_weights", passed=largest == 0, largest_difference=largest)


def tasks(check: Check) -> None:
    """Fine-tuning, evaluation and inference of both tasks, and restoration."""
    phantoms = check.phantoms()
    weights = check.pretrain("start") / "checkpoints" / "model.pt"
    fine_tuning: dict[str, Any] = {"initial_weights": weights, "max_epochs": 2}
    labels = {"label_names": "['lung','nodule']", "patch_size": "[32,32,16]", "panel_interval": 1}
    config_file = "configs/finetune_segmentation.yaml"
    segmented = check.bundle("segmentation", "training", config_file, dataset_dir=phantoms, **fine_tuning, **labels)
    model = segmented / "checkpoints" / "model.pt"
    check.bundle("evaluation", "evaluating", "configs/evaluate.yaml", dataset_dir=phantoms, ckpt_path=model)
    config_file = "configs/inference_segmentation.yaml"
    inference = {"dataset_dir": phantoms / "images", "ckpt_path": model, "save_probabilities": True}
    check.bundle("inference", "inferring", config_file, **inference)
    stitching = {"sliding_window::device": "cpu"}
    check.bundle("inference_stitched_on_cpu", "inferring", config_file, **inference, **stitching)
    scan = {"dataset_dir": phantoms / "images" / "phantom_000.nii.gz", "ckpt_path": weights}
    check.bundle("restoration", "inferring", "configs/inference.yaml", **scan, deform=True)
    candidates = {"source::count": 6, "cache_dir": check.folder / "candidates"}
    config_file = "configs/finetune_classification.yaml"
    cubes = {"cube_size": "[32,32,32]", **candidates}
    classified = check.bundle("classification", "training", config_file, **fine_tuning, **cubes)
    model = classified / "checkpoints" / "model.pt"
    config_file = "configs/evaluate_classification.yaml"
    check.bundle("evaluation_of_classes", "evaluating", config_file, ckpt_path=model, **candidates)


def process_group(check: Check) -> None:
    """One process under ``torchrun``: the process group of this device starts, trains and ends."""
    run = {"dataset_dir": check.phantoms() / "images", "output_dir": check.folder / "process_group"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1"]
    overlays = {"config_file": f"['{PRETRAIN}','configs/multi_gpu.yaml']"}
    words = [*launcher, "-m", "monai.bundle", "run", "training"]
    check.python("process_group", *words, **overlays, **SMALL, **run)


PARTS: dict[str, Callable[[Check], None]] = {part.__name__: part for part in (formats, resume, tasks, process_group)}


def gpu_check(output_dir: str = "runs/gpu_check", parts: Sequence[str] = tuple(PARTS), device: str = "cuda:0") -> None:
    """Run the parts one after the other; ends with exit code 1 if one fails.

    Args:
        output_dir: folder for ``gpu_check.json`` and all other files.
        parts: any of formats, resume, tasks, process_group.
        device: device of the check; with ``cpu`` you can try the check itself.
    """
    usable_device(device)
    folder = Path(output_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    check = Check(folder, device)
    for part in parts:
        try:
            PARTS[part](check)
        except Exception as error:  # the other parts still run
            check.record(part, passed=False, error=repr(error))
    sys.exit(f"Failed: {', '.join(check.failed)}; see {folder}." if check.failed else 0)


if __name__ == "__main__":
    start(gpu_check, ValueError)
