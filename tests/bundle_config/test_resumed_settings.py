"""A run is resumed with the settings that it was started with, but for those that take effect."""

from __future__ import annotations

import sys

import pytest
import yaml
from models_genesis_bundle.bundle_config import RunFolder, SettingsError
from models_genesis_bundle.weights import write_checkpoint

START = {"max_epochs": "4", "learning_rate": "0.1", "dataset_dir": "scans", "cube_size": "[32,32,16]"}


@pytest.fixture
def folder(tmp_path, monkeypatch, root):
    """The folder of a run that was started with `START` and has ended an epoch; returns what begins and resumes it."""
    monkeypatch.chdir(root)

    def begin(resume: bool, **settings: str) -> None:
        words = [word for name, value in {**START, **settings}.items() for word in (f"--{name}", value)]
        command = ["monai/bundle/__main__.py", "run", "training", "--config_file", "configs/pretrain.yaml", *words]
        monkeypatch.setattr(sys, "argv", command)
        run = RunFolder(tmp_path / "run", tmp_path / "run" / "checkpoints", resume)
        run.begin()
        run.lock.release()

    begin(resume=False)
    write_checkpoint({"epoch": 1}, tmp_path / "run" / "checkpoints" / "last.pt")
    return begin


def recorded(tmp_path) -> dict:
    return yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())


def test_what_takes_effect_may_change_and_is_recorded(folder, tmp_path):
    folder(True, max_epochs="8", num_workers="4", device="cpu", panel_interval="2", cache_dir="elsewhere")
    config = recorded(tmp_path)
    assert (config["max_epochs"], config["num_workers"], config["learning_rate"]) == (8, 4, 0.1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": "0.2"}, "learning_rate was 0.1, now 0.2"),
        ({"dataset_dir": "others"}, "dataset_dir was 'scans', now 'others'"),
        ({"cube_size": "[32,32,32]"}, "cube_size::2 was 16, now 32"),
        ({"optimizer::nesterov": "True"}, "optimizer::nesterov was not set, now True"),
        ({"split::seed": "1", "seed": "2"}, "seed was 0, now 2; split::seed was 0, now 1"),
    ],
)
def test_what_would_be_ignored_or_make_another_run_is_refused_by_name(folder, tmp_path, changed, message):
    before = recorded(tmp_path)
    with pytest.raises(SettingsError, match=message) as raised:
        folder(True, **changed)
    assert "start a new run with another output_dir" in str(raised.value)
    assert recorded(tmp_path) == before
    folder(True)


def test_the_same_folder_under_another_name_is_the_same(folder, root):
    folder(True, dataset_dir=str(root / "scans"))


def test_a_run_that_has_saved_nothing_begins_anew_with_any_settings(folder, tmp_path):
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    folder(True, learning_rate="0.2")
    assert recorded(tmp_path)["learning_rate"] == 0.2


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("initial_weights", "run/checkpoints/last.pt"),
        ("dataset_dir", "run/scans"),
        ("dataset_dir", "run"),
        ("bundle_root", "run"),
    ],
)
def test_a_new_run_does_not_move_what_it_reads(folder, tmp_path, place, path):
    (tmp_path / "run" / "scans").mkdir()
    with pytest.raises(SettingsError, match=f"{place}: {tmp_path / path} is in .*another output_dir"):
        folder(False, **{place: str(tmp_path / path)})
    assert (tmp_path / path).exists()
    assert not (tmp_path / "run" / "previous").exists()


def test_a_new_run_reads_what_stays(folder, tmp_path):
    folder(False)
    folder(False, initial_weights=str(tmp_path / "run" / "previous" / "1" / "checkpoints" / "last.pt"))
    assert (tmp_path / "run" / "previous" / "1" / "checkpoints" / "last.pt").exists()
