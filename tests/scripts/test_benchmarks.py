"""Each part at its smallest: the rows are there, their figures are of the right kind, and JSON and table hold the same."""

import json
import sys

import pytest
import torch
from benchmarks import deformations, trainer
from benchmarks.loading import benchmark_loader, benchmark_memory
from benchmarks.measuring import interleaved_medians
from benchmarks.step import benchmark_step, training_step_flops
from benchmarks.trainer import benchmark_ddp, benchmark_end_to_end, measure_training
from gpu_check import gpu_check

SMALL = {"features": (4, 8), "cube_size": (32, 32, 16), "iterations": 1, "batch_size": 2, "epochs": 2}


@pytest.fixture(autouse=True)
def in_the_bundle(monkeypatch, root):
    monkeypatch.chdir(root)


def test_calls_take_turns():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    assert interleaved_medians(calls, seconds=0, least=3).keys() == calls.keys()
    assert order == ["a", "b"] * 4  # once before counting


def test_flops_are_those_of_the_convolutions():
    """Multiply-adds of each layer at 8 and 4 voxels a side; backward takes twice the forward, but for the first layer once."""
    fine, coarse = 8**3, 4**3
    first = 27 * fine * 1 * 1
    encoder = 27 * fine * 1 * 2 + 27 * coarse * (2 * 2 + 2 * 4)
    decoder = 8 * coarse * 4 * 4 + 27 * fine * (6 * 2 + 2 * 2) + fine * 2 * 1
    assert training_step_flops([2, 4], (8, 8, 8)) == 2 * (2 * first + 3 * (encoder + decoder))


def test_deformations(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(deformations, "PAIRS", 2)
    threads = torch.get_num_threads()
    path = tmp_path / "new" / "deformations.json"
    rows = deformations.benchmark_deformations(sizes=[(32, 32, 32)], seconds_per_size=0, json_path=path)
    assert torch.get_num_threads() == threads
    named = {row["transform"]: row for row in rows}
    assert named["plain loop: RandLocalPixelShuffle"]["times_ours"] > 1
    assert named["genesis pair"]["cubes_per_second"] == pytest.approx(1000 / named["genesis pair"]["milliseconds"])
    written = json.loads(path.read_text())
    assert written["rows"] == rows
    assert written["machine"]["threads"] == 1
    assert "plain loop: genesis pair" in capsys.readouterr().out


def test_loader():
    rows = benchmark_loader(workers=(0, 1), cube_size=(32, 32, 16), cubes=8, batch_size=2, seconds=0)
    assert [row["workers"] for row in rows] == [0, 1]
    assert rows[0]["times_first"] == 1
    assert min(row["cubes_per_second"] for row in rows) > 0


def test_memory():
    rows = benchmark_memory(multiples=(1, 4), cube_size=(32, 32, 16), cubes=4)
    assert [row["cubes"] for row in rows] == [4, 16]
    assert all(row["resident_megabytes"] >= row["own_megabytes"] > 0 for row in rows)


def test_step():
    rows = benchmark_step((4, 8), (16, 16, 8), compiled=False, bfloat16=True, device="cpu", matrix_side=32, seconds=0)
    assert [row["variant"] for row in rows] == [
        "float32 contiguous",
        "float32 channels-last",
        "bfloat16 contiguous",
        "bfloat16 channels-last",
        "bfloat16 channels-last Muon",
    ]
    assert rows[0]["times_first"] == 1
    flops = training_step_flops((4, 8), (16, 16, 8))
    for row in rows:
        assert row["tflops"] == pytest.approx(row["cubes_per_second"] * flops / 1e12)


def test_end_to_end():
    (row,) = benchmark_end_to_end(workers=(0,), **SMALL)
    assert row["cubes_per_second"] > 0
    assert 0 < row["waiting_percent"] < 100


def test_ddp_adds_up_the_processes(monkeypatch):
    """Each process tells its own speed: two at 3 cubes/s are 1.5 times one at 4, 75 % of what two could be."""
    seen = []

    def measured(config_files, settings, processes, threads):
        seen.append((len(config_files), processes, settings["cubes_per_scan"]))
        return [{"cubes_per_second": 4.0 if processes == 1 else 3.0}]

    monkeypatch.setattr(trainer, "measure_training", measured)
    one, two = benchmark_ddp(**SMALL)
    assert one == {"processes": 1, "cubes_per_second": 4.0, "efficiency_percent": 100.0}
    assert two == {"processes": 2, "cubes_per_second": 6.0, "efficiency_percent": 75.0}
    assert seen == [(1, 1, 1), (2, 2, 2)]  # the overlay with two only, which see twice the cubes


def test_a_run_that_fails_is_no_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"measured run failed: .* --output_dir"):
        measure_training(["configs/pretrain.yaml"], {"output_dir": str(tmp_path)})


@pytest.mark.parametrize("command", [benchmark_step, gpu_check])
def test_a_device_that_the_machine_lacks_is_named(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"^device: expected a device of this machine, such as cpu or cuda:0, found 'gpu'"
    ):
        command(device="gpu")
    assert not list(tmp_path.iterdir())
