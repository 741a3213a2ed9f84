"""Every way to load weights makes the same checks: inference, evaluation, fine-tuning, resume, export, other frameworks."""

from __future__ import annotations

import functools
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from bundle_commands import ROOT
from ignite.engine import Engine, State
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.engines import TrainingState
from models_genesis_bundle.export import FinishedSegmentation
from models_genesis_bundle.federated import write_global_weights
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    InitialWeights,
    convert,
    layer_spectra,
    load_weights,
    read_checkpoint,
    read_weights,
    release_weights,
    transfer_weights,
    write_checkpoint,
    write_for,
    write_weights,
)
from monai.bundle import ConfigParser
from monai.networks.nets import DynUNet
from same_state import same

RECORDS = {"label_names": ["lung", "nodule"], "patch_size": [32, 32, 16], "label_map": None, "split": {}}


def genesis_unet() -> torch.nn.Module:
    return GenesisUNet(features=(4, 8), out_channels=3, output_activation=None)


def dynunet() -> torch.nn.Module:
    norm, act = ("INSTANCE", {"affine": True}), ("leakyrelu", {"negative_slope": 0.01})
    return DynUNet(3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 8], norm_name=norm, act_name=act)


def training_state(path: Path, network: torch.nn.Module) -> tuple[TrainingState, Engine]:
    trainer = Engine(lambda engine, batch: None)
    trainer.state = State(epoch=1, iteration=2, max_epochs=3, epoch_length=2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return TrainingState(str(path), network, optimizer, also={"ema": genesis_unet()}), trainer


def resume(path: Path) -> torch.nn.Module:
    network = genesis_unet()
    state, trainer = training_state(path, network)
    with mock.patch("models_genesis_bundle.engines.training_state.set_random_states"):
        state.restore(trainer)
    return network


class Way(NamedTuple):
    load: Callable[[Path], object]
    network: Callable[[], torch.nn.Module] = genesis_unet


def into(load: Callable[[torch.nn.Module, Path], object]) -> Callable[[Path], torch.nn.Module]:
    def loaded(path: Path) -> torch.nn.Module:
        network = genesis_unet()
        load(network, path)
        return network

    return loaded


WAYS = {
    "read": Way(read_weights),
    "load": Way(into(load_weights)),
    "transfer": Way(into(lambda network, path: transfer_weights(network, path, "all", "all"))),
    "fine-tune": Way(into(lambda network, path: InitialWeights(path, "all", "all").load_into(network))),
    "resume": Way(resume),
    "export": Way(FinishedSegmentation.read),
    "release": Way(lambda path: release_weights(path, path.with_name("released.pt"), "CC0-1.0")),
    "nnU-Net": Way(lambda path: convert(path, "nnunet", path.with_name("nnunet.pth")), dynunet),
    "DynUNet": Way(lambda path: convert(path, "dynunet", path.with_name("dynunet.pth")), dynunet),
    "spectra": Way(layer_spectra),
    "federated": Way(
        lambda path: write_global_weights(
            path,
            path.with_name("global.pt"),
            ConfigParser(
                {
                    "network_def": genesis_unet(),
                    "scan_preprocessing": ScanPreprocessing(),
                    "cube_size": 8,
                    "output_activation": None,
                }
            ),
        )
    ),
}


@functools.cache
def content(build: Callable[[], torch.nn.Module]) -> bytes:
    """Of a file that serves every way: weights with their records, and the rest of a run's state."""
    with TemporaryDirectory() as folder:
        path, network = Path(folder, "model.pt"), build()
        state, trainer = training_state(path, network)
        state.save(trainer)
        rest = {key: value for key, value in read_checkpoint(path).items() if key not in ("network", "model")}
        rest["processes"] = [{"random": {}, "metrics": []}]
        write_weights(path, network, preprocessing=ScanPreprocessing().record(), **RECORDS, **rest)
        return path.read_bytes()


def changed(path: Path, change: Callable[[dict], None]) -> None:
    file = read_checkpoint(path)
    change(file)
    write_checkpoint(file.pop("model"), path, file)


def not_finite(path: Path) -> None:
    changed(path, lambda file: next(iter(file["model"].values())).view(-1)[:1].fill_(float("nan")))


def evaluated(path: Path) -> None:
    changed(path, lambda file: file["network"].update(arguments={"norm": "$print('harm')"}))


def newer(path: Path) -> None:
    changed(path, lambda file: file.update(format_version=99))


def flipped(path: Path) -> None:
    """One bit of the first tensor."""
    first = next(iter(read_checkpoint(path)["model"].values()))
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(first.numpy().tobytes()) + 5] ^= 4
    path.write_bytes(damaged)


def a_table(path: Path) -> None:
    path.write_text("epoch,loss\n1,0.5\n")


FAULTS = {
    not_finite: r"\d tensors hold NaN or infinite values",
    evaluated: r"its record network\.arguments\.norm holds .* which MONAI would run as code",
    newer: r"written in format 99, but this bundle reads formats up to 2. Update the bundle",
    flipped: r"truncated or damaged .* the checksum of \S+/data/\d+ is wrong.* use an earlier one",
    a_table: r"not a PyTorch checkpoint|truncated or damaged",
}


def causes(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *causes(error.__cause__)]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_refuses_the_same(way, fault, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content(WAYS[way].network))
    fault(path)
    with pytest.raises(RuntimeError) as raised:  # MONAI wraps what a configuration raises
        WAYS[way].load(path)
    refusal = next(error for error in causes(raised.value) if isinstance(error, CheckpointError))
    assert re.match(rf"{path}\S*.*({FAULTS[fault]})", str(refusal))
    assert os.listdir(tmp_path) == ["model.pt"], "nothing is written of what is refused"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_takes_off_what_wrappers_put_before_the_keys(way, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content(WAYS[way].network))
    state = read_checkpoint(path)["model"]
    changed(path, lambda file: file.update(model={f"module._orig_mod.{key}": value for key, value in state.items()}))
    loaded = WAYS[way].load(path)
    if isinstance(loaded, torch.nn.Module):
        assert same(loaded, state)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_reads_the_form_of_earlier_versions(way, tmp_path):
    """The state dict is under a key; releases had the tensors a second time, at the top."""
    path = tmp_path / "model.pt"
    path.write_bytes(content(WAYS[way].network))
    file = read_checkpoint(path)
    torch.save({**file, "format_version": 1, **file["model"]}, path)
    loaded = WAYS[way].load(path)
    if isinstance(loaded, torch.nn.Module):
        assert same(loaded, file["model"])


def test_a_prefix_that_is_the_networks_own_stays(tmp_path):
    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = torch.nn.Linear(1, 1)

    path = write_weights(tmp_path / "model.pt", Wrapped())
    assert load_weights(Wrapped(), path).module.weight == read_checkpoint(path)["model"]["module.weight"]


def test_the_average_in_a_runs_state_is_checked_as_its_weights_are(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(content(genesis_unet))
    changed(path, lambda file: file["ema"]["head.bias"].fill_(float("inf")))
    with pytest.raises(
        CheckpointError, match=r"^\S*last\.pt, ema: 1 tensors hold NaN or infinite values, first head\.bias"
    ):
        resume(path)


def test_weights_that_are_not_finite_are_not_written_for_others(tmp_path):
    network = dynunet()
    torch.nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(CheckpointError, match="DynUNet: 2 tensors hold NaN"):
        write_for("nnunet", network, tmp_path / "nnunet.pth")
    assert os.listdir(tmp_path) == []


def test_of_100_flipped_bits_those_that_change_what_is_loaded_are_noticed(tmp_path):
    def loaded() -> dict:
        found = read_weights(path)
        return {**found, "model": {key: value.numpy().tobytes() for key, value in found["model"].items()}}

    path = write_weights(tmp_path / "model.pt", torch.nn.Linear(30, 30), **RECORDS)
    whole, wanted = path.read_bytes(), loaded()
    drawn, noticed = random.Random(0), 0
    for bit in (drawn.randrange(8 * len(whole)) for _ in range(100)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = loaded()
        except CheckpointError:
            noticed += 1
        else:
            assert found == wanted, f"bit {bit} changed what was loaded"
    assert noticed >= 70, "the rest lies in padding and in dates of the zip file"


@pytest.mark.parametrize(
    ("config", "record"), [("evaluate", "label_names"), ("evaluate_classification", "class_names")]
)
def test_pretrained_weights_in_an_evaluation_are_named(config, record, tmp_path):
    records = {"preprocessing": ScanPreprocessing().record(), "output_activation": "sigmoid", "cube_size": [8, 8, 8]}
    path = write_weights(tmp_path / "model.pt", genesis_unet(), **records)
    parser = ConfigParser(ConfigParser.load_config_file(ROOT / "configs" / f"{config}.yaml"))
    parser["ckpt_path"] = str(path)
    with pytest.raises(RuntimeError) as raised:
        parser.get_parsed_content("network_def")
    message = str(causes(raised.value)[-1])
    run = {"label_names": "segmentation", "class_names": "classification"}[record]
    assert (
        f"{path}: the weight file has no record {record!r}, which is needed here. It is from a pretraining" in message
    )
    assert f"Give the model.pt of a {run} (configs/finetune_{run}.yaml)" in message
    with pytest.raises(CheckpointError, match=r"no record 'split'.* Give the model\.pt of a fine-tuning"):
        read_weights(path)["split"]


@pytest.mark.parametrize("config", sorted(path.name for path in (ROOT / "configs").glob("[ei]*.yaml")))
def test_configurations_take_these_ways(config):
    content = ConfigParser.load_config_file(ROOT / "configs" / config)
    ways = {"weights": "read_weights", "loaded_network": "load_weights"}
    if config not in ("ema.yaml", "embed.yaml", "inference_trt.yaml"):  # embeddings take the encoder alone
        assert {name: content[name]["_target_"].rpartition(".")[2] for name in ways} == ways


ALLOWED = {
    r"\btorch\.load\(": {"weights/checkpoint_file.py"},
    r"\.load_state_dict\(": {"weights/model_file.py", "engines/training_state.py", "networks/slicewise_unet.py"},
    r"\bload_state_dict_from_url\(": {"networks/slicewise_unet.py"},
    "CheckpointLoader": set(),
}


@pytest.mark.parametrize("call", ALLOWED)
def test_nothing_else_loads_weights(call):
    package = ROOT / "models_genesis_bundle"
    sources = [*package.rglob("*.py"), *(ROOT / "scripts").rglob("*.py"), *(ROOT / "configs").iterdir()]
    found = {path for path in sources if re.search(call, path.read_text(encoding="utf-8"))}
    assert found == {package / name for name in ALLOWED[call]}
