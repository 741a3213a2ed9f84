from __future__ import annotations

import gc
import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

# One thread, here as in the processes that tests start: sums are added up in the same order everywhere.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parent.parent

# A network and cubes small enough that an epoch takes a second.
TINY = {
    "network_def::features": "[4,8]",
    "cube_size": "[32,32,16]",
    "cubes_per_scan": "4",
    "batch_size": "4",
    "precision": "float32",
    "learning_rate": "0.1",
    "num_workers": "0",
    "extraction_workers": "0",
    "panel_cubes": "2",
}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """Four small phantoms; the folder holds images/ and labels/."""
    from models_genesis_bundle.data import make_phantoms

    return Path(make_phantoms(tmp_path_factory.mktemp("phantoms"), count=4, size=(64, 64, 48), spacing=(5.0, 5.0, 6.0)))


def arguments(**settings) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def start(*words: str, module: str = "monai.bundle") -> subprocess.Popen:
    """Start a command as a user would, from the repository's root."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_here(*words: str, module: str = "monai.bundle") -> None:
    """Run the same command in this process, which saves the seconds that importing everything takes.

    Raises what the command raises; what it prints is pytest's ``capsys`` to read.
    """
    entry = importlib.util.find_spec(f"{module}.__main__")
    assert entry is not None
    assert entry.origin is not None
    folder = os.getcwd()
    os.chdir(ROOT)
    try:
        with mock.patch.object(sys, "argv", [entry.origin, *words]), mock.patch.object(sys, "path", list(sys.path)):
            runpy.run_module(module, run_name="__main__")
    finally:
        os.chdir(folder)
        gc.collect()  # the workflow's parts refer to each other; the run folder's lock goes with them


def root_cause(error: BaseException) -> BaseException:
    """The error that MONAI's workflow wrapped, once for each layer."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-4000:]
    return output


@pytest.fixture(scope="session")
def pretrain_words(phantoms):
    """The words of `monai.bundle run training` on the phantoms with the tiny settings."""

    def words(output_dir, *configs: str, **settings) -> list[str]:
        files = ["configs/pretrain.yaml", *configs]
        merged = {**TINY, "dataset_dir": phantoms / "images", "output_dir": output_dir, "max_epochs": 2, **settings}
        config_file = files[0] if len(files) == 1 else str(files)
        return ["run", "training", "--config_file", config_file, *arguments(**merged)]

    return words


@pytest.fixture(scope="session")
def pretrain(pretrain_words):
    """Pretrains on the phantoms with the tiny settings, in this process."""
    return lambda output_dir, *configs, **settings: run_here(*pretrain_words(output_dir, *configs, **settings))


@pytest.fixture(scope="session")
def pretrained(pretrain_words, tmp_path_factory) -> Path:
    """The output folder of a tiny pretraining run of four epochs, in a process of its own."""
    output_dir = tmp_path_factory.mktemp("pretrained")
    finish(start(*pretrain_words(output_dir, max_epochs=4)))
    return output_dir
