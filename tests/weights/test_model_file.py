import pytest
import torch
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    load_weights,
    read_weights,
    transfer_weights,
    write_checkpoint,
    write_weights,
)
from same_state import copy_of, same


def test_weights_come_back_with_their_records(tmp_path):
    network = GenesisUNet(features=(4, 8))
    write_weights(tmp_path / "model.pt", network, epoch=7, data={"scans": 3})
    other = load_weights(GenesisUNet(features=(4, 8)), tmp_path / "model.pt")
    image = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(network.eval()(image), other.eval()(image))
    content = read_weights(tmp_path / "model.pt")
    assert content["epoch"] == 7
    assert content["data"] == {"scans": 3}
    assert GenesisUNet(**content["network"]["arguments"]).state_dict().keys() == content["model"].keys()


def test_any_program_loads_a_plain_state_dict(tmp_path):
    """The zoo's checks, MONAI's exports and Ignite load the file with no key."""
    network, other = GenesisUNet(features=(4, 8)), GenesisUNet(features=(4, 8))
    path = write_weights(tmp_path / "model.pt", network, label_map={3: 1})
    state = torch.load(path, weights_only=True)
    assert state.keys() == network.state_dict().keys()
    assert state.records["label_map"] == {3: 1}
    other.load_state_dict(state)
    assert torch.equal(network.eval()(torch.ones(1, 1, 8, 8, 8)), other.eval()(torch.ones(1, 1, 8, 8, 8)))


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (lambda: GenesisUNet(features=(4, 16)), r"features is \[4, 8\] in the file and \[4, 16\] here .*"),
        (lambda: GenesisClassifier(features=(4, 8)), r"a .*GenesisUNet, the network here is a .*GenesisClassifier\. "),
    ],
)
def test_another_network_is_refused_with_what_differs(tmp_path, other, cause):
    write_weights(tmp_path / "model.pt", GenesisUNet(features=(4, 8)))
    network = other()
    before = copy_of(network)
    with pytest.raises(CheckpointError, match=rf"{cause}First differences"):
        load_weights(network, tmp_path / "model.pt")
    assert same(network, before)


@pytest.mark.parametrize(
    ("name", "recorded", "given"),
    [("act", "leakyrelu", "relu"), ("norm", ("group", {"num_groups": 1}), ("group", {"num_groups": 2}))],
)
def test_settings_that_tensors_do_not_show_are_those_of_the_file(name, recorded, given, tmp_path, caplog):
    path = write_weights(tmp_path / "model.pt", GenesisUNet(features=(4, 8), **{name: recorded}))
    with pytest.raises(CheckpointError, match=rf"although all tensors fit\. .* {name} is .*--network_def::{name} "):
        load_weights(GenesisUNet(features=(4, 8), **{name: given}), path)
    load_weights(GenesisUNet(features=(4, 8), output_activation=None, **{name: recorded}), path)
    assert not caplog.records
    transfer_weights(GenesisUNet(features=(4, 8), **{name: given}), path)
    assert f"in a network with other settings. Change the network definition: {name} is" in caplog.text


def test_what_is_no_weight_file_is_refused(tmp_path):
    write_checkpoint({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="expected a state dict with records"):
        read_weights(tmp_path / "other.pt")
