import hashlib
import logging

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    InitialWeights,
    TransferError,
    initial_weights,
    save_pretrained,
    set_foreground_prior,
    write_weights,
)
from monai.networks.nets import DynUNet, SegResNetDS, UNet
from same_state import copy_of, same

PREPROCESSING = {"spacing": None, "intensity": {"mode": "window", "lower": -1000.0, "upper": 1000.0}}


@pytest.fixture
def pretrained(tmp_path):
    network = GenesisUNet(features=(4, 8))
    records = {"preprocessing": PREPROCESSING, "data": {"scans": 3}, "metrics": {"val_mse": 0.1}}
    return network, write_weights(tmp_path / "model.pt", network, **records)


@pytest.mark.parametrize("path", [None, "none", "None", "NONE"])
def test_none_is_from_scratch_and_says_so(caplog, path):
    initial = InitialWeights(path)
    network = GenesisUNet(features=(4, 8))
    before = copy_of(network)
    with caplog.at_level(logging.INFO):
        assert initial.load_into(network) is network
    assert "GenesisUNet trains from scratch" in caplog.text
    assert same(network, before)
    assert initial.preprocessing is None
    assert initial.report is None
    assert initial.record() == {"file": "none"}


def test_a_file_is_transferred_and_recorded(caplog, pretrained):
    source, path = pretrained
    initial = InitialWeights(str(path))
    assert initial.preprocessing == PREPROCESSING
    with caplog.at_level(logging.INFO):
        network = initial.load_into(GenesisUNet(features=(4, 8), out_channels=3))
    key = "decoder.stages.0.convs.0.conv.weight"
    assert torch.equal(network.state_dict()[key], source.state_dict()[key])
    assert f"Weights from {path}:" in caplog.text
    assert initial.record() == {
        "file": "model.pt",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "data": {"scans": 3},
        "initial_weights": None,
        "transfer": initial.report.counts(),
    }
    assert initial.report.counts()["encoder"]["loaded"]["tensors"] == 28


def test_the_file_is_read_once_and_only_when_it_is_needed(monkeypatch, pretrained):
    _, path = pretrained
    reads = []
    read = initial_weights.read_weight_file
    monkeypatch.setattr(initial_weights, "read_weight_file", lambda path: reads.append(path) or read(path))
    initial = InitialWeights(path)
    assert reads == []
    initial.load_into(GenesisUNet(features=(4, 8)))
    assert initial.preprocessing == PREPROCESSING
    initial.record()
    assert reads == [path]


def test_parts_and_requirements_are_passed_on(pretrained):
    source, path = pretrained
    network = InitialWeights(path, parts="all", require="all").load_into(GenesisUNet(features=(4, 8)))
    assert same(network, source)
    with pytest.raises(TransferError, match=r"model\.pt: .*features is \[4, 8\] in the file and \[4, 16\] here"):
        InitialWeights(path).load_into(GenesisUNet(features=(4, 16)))


def test_a_folder_of_a_run_or_of_a_saved_network_stands_for_its_file(tmp_path):
    network = GenesisUNet(features=(4, 8))
    file = write_weights(tmp_path / "run" / "checkpoints" / "model.pt", network)
    saved = save_pretrained(network, tmp_path / "saved")
    assert InitialWeights(tmp_path / "run").path == file
    assert InitialWeights(tmp_path / "run").record()["sha256"] == InitialWeights(file).record()["sha256"]
    start = InitialWeights(saved, parts="all").load_into(GenesisUNet(features=(4, 8)))
    assert same(start, network)


# --- The head's first outputs ---


def genesis(classes=4):
    return GenesisUNet(out_channels=classes, features=(4, 8), output_activation=None)


def dynunet():
    return DynUNet(3, 1, 4, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 16], deep_supervision=True, deep_supr_num=1)


def segresnet():
    return SegResNetDS(init_filters=8, blocks_down=(1, 1), out_channels=4)


@pytest.mark.parametrize("build", [genesis, dynunet, segresnet])
def test_a_new_network_predicts_background(build):
    torch.manual_seed(0)
    network = set_foreground_prior(build(), 0.03).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 1, 32, 32, 32))
    probabilities = output.softmax(1)
    assert probabilities[:, 0].mean() > 0.9
    assert 0 < probabilities[:, 1:].mean() < 0.03


@pytest.mark.parametrize("build", [lambda: UNet(3, 1, 4, (4, 8), (2,)), lambda: genesis(1)])
def test_a_network_without_such_a_head_stays_and_the_log_says_so(build, caplog):
    network = build()
    before = copy_of(network)
    assert set_foreground_prior(network, 0.03) is network
    assert same(network, before)
    assert "foreground_prior" in caplog.text


def test_none_leaves_the_biases():
    network = genesis()
    bias = network.head.bias.clone()
    assert torch.equal(set_foreground_prior(network, None).head.bias, bias)


@pytest.mark.parametrize("wrong", [0, 1, -0.1, 2])
def test_a_probability_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"foreground_prior::probability: expected a number .*, found {wrong}"):
        set_foreground_prior(genesis(), wrong)
