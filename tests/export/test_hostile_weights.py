"""A weight file from a stranger: nothing that it says is run, imported or evaluated, neither here nor in what is exported."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
import torch
from bundle_commands import ROOT
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.export import (
    ExportError,
    FinishedSegmentation,
    finished_segmentation,
    make_segmentation_bundle,
)
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    InitialWeights,
    read_checkpoint,
    write_checkpoint,
    write_weights,
)

CLASS = "models_genesis_bundle.networks.genesis_unet.GenesisUNet"
PREPROCESSING = ScanPreprocessing().record()


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    network = GenesisUNet(features=(4, 8), out_channels=3, output_activation=None)
    records = {"label_names": ["lung", "nodule"], "patch_size": [32, 32, 16], "label_map": None, "split": {}}
    path = tmp_path_factory.mktemp("honest") / "model.pt"
    return write_weights(path, network, preprocessing=PREPROCESSING, data={}, **records)


@pytest.fixture
def hostile(honest, tmp_path):
    """Writes the honest file with other records; what harms would leave a file ``harmed``."""

    def write(**records) -> Path:
        file = {**read_checkpoint(honest), **records}
        return write_checkpoint(file.pop("model"), tmp_path / "model.pt", file)

    yield write
    assert not (tmp_path / "harmed").exists()


def command(folder: Path) -> str:
    return f"touch {folder / 'harmed'}"


def expression(folder: Path) -> str:
    return f"$__import__('os').system('{command(folder)}')"


def call(folder: Path) -> dict[str, str]:
    return {"_target_": "os.system", "command": command(folder)}


def network(target: str = CLASS, **arguments) -> dict:
    return {"network": {"_target_": target, "arguments": {"features": [4, 8], "out_channels": 3, **arguments}}}


ATTACKS = {
    "another class": lambda folder: {"network": {"_target_": "os.system", "arguments": {"command": command(folder)}}},
    "a class beside the package": lambda folder: network("models_genesis_bundle.networks_.GenesisUNet"),
    "a function of the package": lambda folder: network("models_genesis_bundle.networks.by_slice"),
    "a class that is no name": lambda folder: network(expression(folder)),
    "a class that is no text": lambda folder: {"network": {"_target_": call(folder), "arguments": {}}},
    "an expression as an argument": lambda folder: network(norm=expression(folder)),
    "another class among the arguments": lambda folder: network(**call(folder)),
    "a call as an argument": lambda folder: network(norm=call(folder)),
    "a call deep in an argument": lambda folder: network(norm=["batch", {"eps": [call(folder)]}]),
    "a debugger": lambda folder: network(_mode_="debug"),
    "arguments of another network": lambda folder: network(command=command(folder)),
    "an expression as a label": lambda folder: {"label_names": ["lung", expression(folder)]},
    "an import as a label": lambda folder: {"label_names": ["lung", "$import antigravity"]},
    "a reference as a label": lambda folder: {"label_names": ["lung", "@network_def"]},
    "a file as a label": lambda folder: {"label_names": ["lung", f"%{folder}/other.yaml::label"]},
    "a call as a label": lambda folder: {"label_names": ["lung", call(folder)]},
    "an expression in place of the labels": lambda folder: {"label_names": expression(folder)},
    "an expression as a side": lambda folder: {"patch_size": [32, 32, expression(folder)]},
    "an expression as an orientation": lambda folder: {
        "preprocessing": {**PREPROCESSING, "orientation": expression(folder)}
    },
    "an expression as a metric": lambda folder: {"metrics": {"val_dice": expression(folder)}},
    "an expression as a count": lambda folder: {"data": {"scans": expression(folder)}},
    "a tensor as a metric": lambda folder: {"metrics": {"val_dice": torch.zeros(1)}},
    "a record that holds itself": lambda folder: {"metrics": endless()},
}


def endless() -> dict:
    record: dict = {}
    record["again"] = record
    return record


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_a_file_is_run_and_nothing_is_written(hostile, tmp_path, attack):
    path = hostile(**ATTACKS[attack](tmp_path))
    with pytest.raises((CheckpointError, ExportError), match=str(path)):
        make_segmentation_bundle(path, tmp_path / "out", ROOT, torchscript=False)
    assert os.listdir(tmp_path) == ["model.pt"]


def test_with_a_configuration_the_files_own_definition_counts_for_nothing(hostile, tmp_path):
    """The class's name gets into the description of the exported metadata, which MONAI parses."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"network_def: {{_target_: {CLASS}, features: [4, 8], out_channels: 3, output_activation: null}}\n"
    )
    path = hostile(network={"_target_": "os.system", "arguments": {"command": command(tmp_path)}})
    assert FinishedSegmentation.read(path, config).network_def["_target_"] == CLASS
    path = hostile(network={"_target_": f"os.{expression(tmp_path)}"})
    with pytest.raises(CheckpointError, match=r"expected a class as network\._target_"):
        FinishedSegmentation.read(path, config)


@pytest.mark.parametrize("content", ["", "network_def: [", "\0", "network_def: GenesisUNet", "- 1"])
def test_a_broken_configuration_is_named(honest, tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ExportError, match=r"config\.yaml: it (cannot be read|defines no network)"):
        FinishedSegmentation.read(honest, tmp_path / "config.yaml")


def test_the_settings_of_an_algorithm_take_over_no_expression(hostile, tmp_path):
    """Auto3DSeg's ``hyper_parameters.yaml`` gets the arguments of the initial weights' network."""
    start = InitialWeights(hostile(**network(norm=expression(tmp_path))))
    with pytest.raises(CheckpointError, match=r"network\.arguments\.norm"):
        start.source.network.get("arguments")


def test_files_of_earlier_and_later_versions_name_the_same_networks(hostile, honest):
    for module in ("models_genesis_bundle.networks", "models_genesis_bundle.networks.another_module"):
        path = hostile(network={"_target_": f"{module}.GenesisUNet", **definition(honest)})
        assert FinishedSegmentation.read(path).network_def["_target_"] == "models_genesis_bundle.networks.GenesisUNet"


def definition(path: Path) -> dict:
    return {"arguments": read_checkpoint(path)["network"]["arguments"]}


def test_a_network_with_imagenet_weights_is_built_without_them(tmp_path):
    target = "models_genesis_bundle.networks.SlicewiseUNet"
    written = {"_target_": target, "arguments": {"backbone": "efficientnet-b0"}}
    wanted = {"_target_": target, "backbone": "efficientnet-b0", "pretrained": False}
    assert finished_segmentation.recorded_network(tmp_path / "model.pt", written) == wanted


def test_records_that_could_not_be_read_are_not_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"its record label_names\.0 holds '@lung'"):
        write_weights(tmp_path / "model.pt", torch.nn.Linear(1, 1), label_names=["@lung"])
    assert os.listdir(tmp_path) == []


def test_what_a_message_advises_does_no_harm_in_a_shell(hostile, tmp_path):
    """A message says how to set what differs, in the file's words, and people copy it into their shell."""
    folder = tmp_path.as_posix()
    path = hostile(**network(act=f"relu'; touch {folder}/harmed; echo \"$(touch {folder}/harmed)"))
    differing = GenesisUNet(features=(4, 16), out_channels=3)
    with pytest.raises(CheckpointError) as raised:
        InitialWeights(path).load_into(differing)
    advice = str(raised.value).split("(`--network_def::act ")[1].split("`)")[0]
    assert os.system(f"true {advice}") == 0


def test_the_script_ends_with_the_reason(hostile, tmp_path):
    make_bundle = runpy.run_path(str(ROOT / "scripts" / "make_segmentation_bundle.py"))["make_bundle"]
    with pytest.raises(CheckpointError, match="which MONAI would run as code"):
        make_bundle(str(hostile(label_names=[expression(tmp_path)])), str(tmp_path / "out"))
