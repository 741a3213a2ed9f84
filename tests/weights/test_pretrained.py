"""Networks with their weights from a file, a folder and the Hub, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from bundle_commands import ROOT
from hub_server import HubHandler
from local_server import answering
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    TransferError,
    find_weights,
    read_weights,
    sources,
    write_weights,
)
from same_state import same

RECORD = ScanPreprocessing(spacing=2.0).record()


@pytest.fixture
def network() -> GenesisUNet:
    torch.manual_seed(0)
    network = GenesisUNet(features=(4, 8), norm=("instance", {"affine": True}))
    network.preprocessing_record = RECORD
    return network


@pytest.fixture
def weight_file(network, tmp_path):
    return write_weights(tmp_path / "model.pt", network, preprocessing=RECORD)


def test_a_weight_file_says_which_network_it_is_of(network, weight_file):
    loaded = GenesisUNet.from_pretrained(weight_file)
    assert same(loaded, network)
    assert not loaded.training
    assert loaded.config() == network.config()
    assert loaded.preprocessing_record == RECORD


def test_the_weights_that_ship_are_the_default():
    assert find_weights() == ROOT / "models" / "model.pt"


def test_a_saved_folder_holds_the_same(network, tmp_path):
    folder = network.save_pretrained(tmp_path / "saved", license="cc-by-4.0")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert "license: cc-by-4.0" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["preprocessing"] == RECORD
    loaded = GenesisUNet.from_pretrained(folder)
    assert same(loaded, network)
    assert loaded.preprocessing_record == read_weights(folder / "model.safetensors")["preprocessing"] == RECORD


def test_another_head_is_new_and_the_rest_is_loaded(network, weight_file):
    loaded = GenesisUNet.from_pretrained(weight_file, out_channels=3, output_activation=None)
    assert same(loaded.decoder, network.decoder)
    assert loaded.head.weight.shape[0] == 3


def test_an_encoder_that_does_not_fit_is_refused(weight_file):
    with pytest.raises(TransferError, match=r"features is \[4, 8\] in the file and \[6, 8\] here"):
        GenesisUNet.from_pretrained(weight_file, features=(6, 8))


def test_preprocessing_reads_a_scan_as_the_weights_need_it(weight_file, phantoms):
    loaded = GenesisUNet.from_pretrained(weight_file)
    image = loaded.preprocessing()({"image": phantoms / "images" / "phantom_000.nii.gz"})["image"]
    assert image.pixdim.tolist() == [2, 2, 2]
    assert 0 <= image.min() < image.max() <= 1
    with pytest.raises(ValueError, match="have no record of their preprocessing"):
        GenesisUNet(features=(4, 8)).preprocessing()


@pytest.mark.parametrize("source", ["nowhere", "folder"])
def test_a_source_without_weights_is_refused(tmp_path, source):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=r"expected a weight file, a folder with model\.safetensors"):
        find_weights(tmp_path / source)


@pytest.mark.parametrize("source", ["no/such.pt", "no/such.safetensors"])
def test_a_missing_file_is_not_looked_for_on_the_hub(monkeypatch, source):
    monkeypatch.setattr(sources, "_downloaded", lambda *arguments: pytest.fail("asked the Hub"))
    with pytest.raises(CheckpointError, match=f"{source}: expected a weight file, .* found nothing of that name"):
        GenesisUNet.from_pretrained(source)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"no tensors", "not a safetensors file, or damaged"),
        ("config.json", b"{", "config.json: not a JSON file"),
        ("config.json", b"[]", "expected the records"),
    ],
)
def test_a_damaged_file_is_named(network, tmp_path, name, content, message):
    network.save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        GenesisUNet.from_pretrained(tmp_path)


def test_to_the_hub_and_back(tmp_path):
    """In a process of its own: the Hub's client takes its address from the environment when it is imported."""
    (tmp_path / "hub").mkdir()
    script = """if True:
        import torch
        from models_genesis_bundle.networks import GenesisUNet
        network = GenesisUNet(features=(4, 8))
        print(network.push_to_hub("owner/name", token="hf_test"))
        loaded = GenesisUNet.from_pretrained("owner/name")
        assert all(map(torch.equal, network.state_dict().values(), loaded.state_dict().values()))
        GenesisUNet.from_pretrained("owner/other")
    """
    with answering(partial(HubHandler, repository="owner/name", folder=tmp_path / "hub")) as address:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home")}
        process = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
        )
    assert f"{address}/owner/name/commit/" in process.stdout, process.stderr
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert (
        "owner/other: there is no such local file or folder, and the repository could not be loaded" in process.stderr
    )
