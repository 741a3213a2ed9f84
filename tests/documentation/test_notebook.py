"""The notebook is executed as a user executes it: in a kernel, opened in docs/start/, from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from bundle_commands import ROOT
from nbclient import NotebookClient
from pages import NOTEBOOK

LONGEST = 600  # seconds a cell may take; a minute on two cores


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, and the folder in which it ran: configurations and weights of this checkout, no runs."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("configs", "models"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "docs" / "start").mkdir(parents=True)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=LONGEST, resources={"metadata": {"path": str(folder / "docs" / "start")}}
    ).execute()
    return notebook, folder


def test_it_ships_without_outputs():
    """They would be stale, and large; the notebook makes them in a minute or two."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_every_figure_is_drawn(executed):
    notebook, _ = executed
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert (
        sum("image/png" in output.get("data", {}) for output in outputs) == 4
    )  # deformations, restoration, two panels


def test_its_runs_leave_weights(executed):
    _, folder = executed
    assert sorted(path.parent.parent.name for path in Path(folder, "runs/notebook").glob("*/checkpoints/model.pt")) == [
        "finetune",
        "pretrain",
    ]
