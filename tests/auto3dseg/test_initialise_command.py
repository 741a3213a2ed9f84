"""The command as a user gives it; what it does is tested in test_initialise.py."""

from __future__ import annotations

import pytest
from bundle_commands import finish, run_here, start
from generated_folders import read_settings, write_segresnet
from models_genesis_bundle.weights import write_weights
from monai.networks.nets import SegResNetDS

MODULE = "models_genesis_bundle.auto3dseg"


def write_pretrained(path, init_filters: int):
    network = SegResNetDS(init_filters=init_filters, blocks_down=[1, 1], norm="INSTANCE", out_channels=1)
    return write_weights(path, network)


def run(*words) -> int:
    with pytest.raises(SystemExit) as ended:
        run_here("initialise", *map(str, words), module=MODULE)
    return ended.value.code


def test_it_says_what_was_loaded_and_succeeds_when_any_algorithm_took_it(tmp_path):
    folder = write_segresnet(tmp_path / "work")
    write_segresnet(tmp_path / "work", "other_0", finetune={})
    wide, fitting = (write_pretrained(tmp_path / f"{width}.pt", width) for width in (16, 8))
    words = ["initialise", "--work_dir", str(tmp_path / "work"), "--weights", f"{wide},{fitting}"]
    printed = finish(start(*words, module=MODULE))
    assert f"Weights from {fitting}:" in printed
    assert "1 of 2 algorithms start from the given weights: segresnet_0." in printed
    assert read_settings(folder)["finetune"]["enabled"] is True


def test_it_fails_when_none_took_them(tmp_path, capsys):
    write_segresnet(tmp_path / "work")
    wide = write_pretrained(tmp_path / "wide.pt", 16)
    assert run("--work_dir", tmp_path / "work", "--weights", wide, "--algos", "segresnet") == 1
    assert "0 of 1 algorithms" in capsys.readouterr().out


def test_a_mistake_is_told_in_a_line(tmp_path):
    assert "expected folders" in run("--work_dir", tmp_path, "--weights", tmp_path / "model.pt")
