"""Starts the bundle's commands as a user would, in a process of their own or in the test's."""

from __future__ import annotations

import gc
import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

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
    "volumes::num_workers": "0",
    "panels::num_cubes": "2",
}


def arguments(**settings) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def start(*words: str, module: str = "monai.bundle") -> subprocess.Popen:
    """Start a command as a user would, from the repository's root."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_here(*words: str, module: str = "monai.bundle", where: Path = ROOT) -> None:
    """Run the same command in this process, which saves the seconds that importing everything takes.

    Raises what the command raises; what it prints is pytest's ``capsys`` to read.
    """
    entry = importlib.util.find_spec(f"{module}.__main__")
    assert entry is not None
    assert entry.origin is not None
    folder = os.getcwd()
    os.chdir(where)
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
