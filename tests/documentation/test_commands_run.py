"""The documented runs are run, on phantoms and with tiny networks; nobody's data, width or patience is what the docs need.

A command is run in a folder that looks like a user's (``working_folder``), with its own words but for the data's place, and with
small settings behind them. Commands that differ in the data's place alone are run once.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from bundle_commands import arguments, run_here
from models_genesis_bundle.bundle_config import RunCommand
from pages import commands, words_behind
from working_folder import make_working_folder

# What is not run here, by a word of the command, and why.
NOT_RUN = {
    "multi_gpu": "needs a process for each GPU: test_pretrain.py runs two",
    "--tracking": "needs MLflow, an extra: test_tracking.py",
    "plan.yaml": "a planning, and the training that follows from its files: planning/test_run.py",
    "inference_trt": "needs TensorRT and its engine: package/test_routes.py",
    "::channels": "scans of several channels: test_channels.py",
    ".json --": "a JSON twin, which only the archive has: package/test_routes.py, package/test_label_deploy.py",
}

DATA = re.compile(r"--dataset_dir (<[^>]*>|\S+)")

# Kinds of data in the working folder, by the configuration that reads them; the last one that is named counts.
KINDS = {
    "finetune_segmentation": "labelled",
    "evaluate": "labelled",
    "task_ncs": "lidc",
    "task_lcs": "lits",
    "task_bms": "brats",
    "finetune_classification": "classified",
    "evaluate_classification": "classified",
    "task_ncc": "luna16",
    "task_ecc": "emboli",
    "data_luna16": "luna16",
    "data_xray": "radiographs",
}

# Settings by configuration, so that a run takes seconds; None takes one back.
FAST = {"max_epochs": 1, "num_workers": 0}
SMALL = {
    "pretrain": {
        **FAST,
        "network_def::features": "[4,8]",
        "cube_size": "[32,32,16]",
        "cubes_per_scan": 1,
        "batch_size": 2,
        "volumes::num_workers": 0,
        "panels::num_cubes": 1,
    },
    "network_dynunet": {
        "network_def::features": None,
        "network_def::filters": "[4,8,8,8,8]",
        "cube_size": "[32,32,32]",
    },
    "network_resenc": {
        "network_def::features": None,
        "network_def::n_stages": 3,
        "network_def::features_per_stage": "[4,8,8]",
        "network_def::strides": "[1,2,2]",
        "network_def::n_blocks_per_stage": "[1,1,1]",
    },
    "spatial_2d": {"cube_size": "[32,32]"},
    "data_luna16": {"cube_size": "[16,16,16]", "cube_sampler::margin": 0},
    "finetune_segmentation": {
        **FAST,
        "patch_size": "[32,32,16]",
        "panels::num_cases": 1,
        "split::validation_fraction": 1,
        "split::test_fraction": 1,
    },
    "evaluate": {},
    "finetune_classification": {**FAST, "network_def::hidden": 8, "cube_size": "[16,16,16]", "volumes::num_workers": 0},
    "task_ncc": {"max_negatives_per_scan": 2},
    "task_ecc": {"split::validation_fraction": 1, "split::test_fraction": 1},
    "evaluate_classification": {"network_def::hidden": 8, "report::resamples": 50, "volumes::num_workers": 0},
    "inference_classification": {"network_def::hidden": 8, "volumes::num_workers": 0},
    "embed": {"cube_size": "[32,32,32]"},
}


def reason_not_to_run(line: str) -> str | None:
    return next((reason for word, reason in NOT_RUN.items() if word in line), None)


def read(line: str) -> RunCommand:
    command = RunCommand.from_arguments(["monai/bundle/__main__.py", *words_behind(line, "monai.bundle ")])
    assert command is not None, line
    return command


def stems(command: RunCommand) -> list[str]:
    return [Path(name).stem for name in command.config_files]


def distinct_runs() -> list:
    """A command for each combination of configurations, run id and kind of weights to start from."""
    found: dict[tuple, object] = {}
    for line in commands("monai.bundle run "):
        command = read(line)
        run_id = words_behind(line, "monai.bundle run ")[0]
        weights = [command.overrides.get(name) for name in ("ckpt_path", "initial_weights")]
        key = (run_id, command.config_files, *weights, reason_not_to_run(line))
        found.setdefault(key, pytest.param(line, id=f"{run_id} {'+'.join(stems(command))}"))
    return list(found.values())


@pytest.fixture(scope="module")
def template(phantoms, tmp_path_factory) -> Path:
    return make_working_folder(tmp_path_factory.mktemp("working_folder"), phantoms)


@pytest.fixture
def working_folder(template, tmp_path) -> Path:
    return shutil.copytree(template, tmp_path / "here", symlinks=True)


def in_data(line: str, kind: str) -> str:
    """A command whose data, and the files in their folder, are those of a kind."""
    named = DATA.search(line)
    return line if named is None else line.replace(named[1], f"data/{kind}")


def files_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("line", distinct_runs())
def test_a_documented_run_ends_well_and_leaves_files(line, working_folder):
    if reason := reason_not_to_run(line):
        pytest.skip(reason)
    command = read(line)
    kind = next((KINDS[stem] for stem in reversed(stems(command)) if stem in KINDS), "scans")
    small = {name: value for stem in stems(command) for name, value in SMALL.get(stem, {}).items()}
    own = command.overrides.keys() - FAST.keys()  # a command's epochs are minutes
    small = {name: value for name, value in small.items() if value is not None and name not in own}
    before = files_below(working_folder / "runs")
    words = words_behind(in_data(line, kind), "monai.bundle ")
    run_here(*words, *arguments(**small), where=working_folder)
    assert any(before.get(path) != time for path, time in files_below(working_folder / "runs").items())
