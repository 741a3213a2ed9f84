"""The Python in README and docs is run where a user could; the rest compiles, and what it imports is there."""

from __future__ import annotations

import ast
import importlib
import json
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_commands import ROOT
from models_genesis_bundle.data import Volumes
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import write_weights
from pages import PAGES, blocks
from published_files import write_pytorch_unet

PYTHON = [(page.name, code) for page in PAGES for code in blocks(page, "python")]

# By page: what the block is not run for, or the names that the text around it gives.
NOT_RUN = {
    "auto3dseg.md": "minutes of AutoRunner: auto3dseg/test_genesis_run.py",
    "labelled_data.md": "needs a hundred patients of LiTS; its task is in test_segmentation.py",
    "package.md": "needs the archive: package/test_routes.py",
}
RNG = np.random.default_rng(0)
GIVEN = {
    "metrics.md": {
        "probabilities": torch.softmax(torch.rand(2, 8, 8, 8), 0),
        "label": torch.randint(0, 2, (1, 8, 8, 8)),
        "dice": RNG.random(12),
        "patients": [f"p{number // 2}" for number in range(12)],
        "labels": np.arange(12) % 2,
        "scores_of_one_model": RNG.random(12),
        "scores_of_another": RNG.random(12),
    }
}


@pytest.fixture(scope="module")
def user_folder(phantoms, tmp_path_factory) -> Path:
    """Weights of the documented widths and scans, where the blocks look for them."""
    folder = tmp_path_factory.mktemp("user")
    for place in ("runs/pretrain/checkpoints", "models/published"):
        (folder / place).mkdir(parents=True)
    write_weights(folder / "runs/pretrain/checkpoints/model.pt", GenesisUNet())
    write_pytorch_unet(folder / "models/published/Genesis_Chest_CT.pt")
    (folder / "models" / "model.pt").symlink_to(ROOT / "models" / "model.pt")
    (folder / "scans").symlink_to(phantoms / "images")
    (folder / "scan.nii.gz").symlink_to(phantoms / "images" / "phantom_000.nii.gz")
    write_labelled(folder / "data" / "openkbp", phantoms)
    (folder / "runs/embed").mkdir()
    np.savez(folder / "runs/embed/embeddings.npz", vectors=np.zeros((1, 2)), case=["a"], patient=["p"])
    return folder


def write_labelled(folder: Path, phantoms: Path) -> None:
    """List a phantom and its label map as a data set's training."""
    folder.mkdir(parents=True)
    item = {name: str(next((phantoms / f"{name}s").iterdir())) for name in ("image", "label")}
    (folder / "datalist.json").write_text(json.dumps({"training": [item], "validation": [], "test": []}))


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[page for page, _ in PYTHON])
def test_a_block_compiles_and_imports_what_exists(page, code):
    for node in ast.walk(ast.parse(code, filename=page)):
        if isinstance(node, ast.Import):
            assert all(importlib.import_module(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.fixture
def without_processes(monkeypatch):
    """Volumes are prepared in this process: another one would import everything again."""
    monkeypatch.setattr(Volumes, "__init__", partialmethod(Volumes.__init__, num_workers=0))


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[page for page, _ in PYTHON])
def test_a_block_runs(page, code, user_folder, without_processes, monkeypatch):
    if page in NOT_RUN:
        pytest.skip(NOT_RUN[page])
    monkeypatch.chdir(user_folder)
    exec(compile(code, page, "exec"), {"__name__": "__main__", **GIVEN.get(page, {})})


def test_only_pages_with_python_are_excepted():
    assert {*NOT_RUN, *GIVEN} <= {page for page, _ in PYTHON}
