import pytest
import torch

from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    load_weights,
    read_weights,
    release_weights,
    write_checkpoint,
    write_weights,
)


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


def test_another_network_is_refused_with_what_differs(tmp_path):
    write_weights(tmp_path / "model.pt", GenesisUNet(features=(4, 8)))
    network = GenesisUNet(features=(4, 16))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"features is \[4, 8\] in the file and \[4, 16\] here .*First differences"
    ):
        load_weights(network, tmp_path / "model.pt")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_the_keys_is_taken_off(tmp_path, prefix):
    network = GenesisUNet(features=(4, 8))
    content = read_weights(write_weights(tmp_path / "model.pt", network))
    state = content["model"]
    write_checkpoint(
        {**content, "model": {prefix + key: value for key, value in state.items()}}, tmp_path / "wrapped.pt"
    )
    loaded = load_weights(GenesisUNet(features=(4, 8)), tmp_path / "wrapped.pt").state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in state.items())
    released = read_weights(release_weights(tmp_path / "wrapped.pt", tmp_path / "released.pt", "CC0-1.0"))
    assert list(released["model"]) == list(state)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = GenesisUNet(features=(4, 8))
    with torch.no_grad():
        network.head.weight[0] = float("inf")
    write_weights(tmp_path / "model.pt", network)
    with pytest.raises(CheckpointError, match=r"1 tensors hold NaN or infinite values, first head\.weight"):
        load_weights(GenesisUNet(features=(4, 8)), tmp_path / "model.pt")


def test_no_weight_file_and_a_newer_format_are_refused(tmp_path):
    write_checkpoint({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="expected the key 'model'"):
        read_weights(tmp_path / "other.pt")
    write_checkpoint({"model": {}, "format_version": 99}, tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="update the bundle"):
        read_weights(tmp_path / "newer.pt")
