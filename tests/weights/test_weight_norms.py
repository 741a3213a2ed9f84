"""Norms of layers: scaled convolutions compute the same and are as large as new ones, and collapsed layers are found."""

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import InitialWeights, TransferError, layer_spectra, weight_norms_kept, write_weights
from monai.networks.nets import UNet
from same_state import copy_of, same

GROWN = 3.0


def grown(network):
    """Weights as a long training leaves them: larger, with statistics of their own."""
    network.train()
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.mul_(GROWN if key.endswith("conv.weight") else 1).add_(0.1 if key.endswith("bias") else 0)
        for _ in range(3):
            network(torch.rand(4, 1, 16, 16, 16))
    return network


def load_scaled(network, weights):
    with weight_norms_kept(network):
        network.load_state_dict(weights.state_dict())
    return network


@pytest.mark.parametrize("norm", ["batch", ("instance", {"affine": True}), ("group", {"num_groups": 2})])
def test_the_network_computes_the_same(norm):
    torch.manual_seed(0)
    pretrained = grown(GenesisUNet(features=(4, 8), norm=norm))
    network = load_scaled(GenesisUNet(features=(4, 8), norm=norm), pretrained)
    cubes = torch.rand(2, 1, 16, 16, 16)
    for training in (True, False):
        wanted = pretrained.train(training)(cubes)
        torch.testing.assert_close(network.train(training)(cubes), wanted, atol=2e-3, rtol=0)


def test_normalised_convolutions_keep_their_norm_and_all_else_is_loaded():
    torch.manual_seed(0)
    pretrained = grown(GenesisUNet(features=(4, 8)))
    new = GenesisUNet(features=(4, 8))
    norms = {key: value.norm().item() for key, value in new.state_dict().items() if key.endswith("conv.weight")}
    loaded = load_scaled(new, pretrained).state_dict()
    assert len(norms) == 6
    for key, norm in norms.items():
        assert loaded[key].norm().item() == pytest.approx(norm, rel=1e-5)
    for key, value in pretrained.state_dict().items():
        if not key.endswith(("conv.weight", "conv.bias", "running_mean", "running_var")):
            assert torch.equal(loaded[key], value), key


def test_monai_blocks_are_recognised():
    torch.manual_seed(0)
    arguments = {"spatial_dims": 3, "in_channels": 1, "out_channels": 1, "channels": (4, 8), "strides": (2,)}
    pretrained, new = grown(UNet(**arguments)), UNet(**arguments)
    norm = new.model[0].conv.weight.norm().item()
    assert load_scaled(new, pretrained).model[0].conv.weight.norm().item() == pytest.approx(norm, rel=1e-5)


def test_initial_weights_are_scaled_when_asked_for(tmp_path):
    torch.manual_seed(0)
    write_weights(tmp_path / "model.pt", grown(GenesisUNet(features=(4, 8))))
    new = GenesisUNet(features=(4, 8))
    norm = new.encoder.stages[1][1].conv.weight.norm().item()
    for scaled, factor in ((True, 1), (False, GROWN)):
        network = InitialWeights(tmp_path / "model.pt", keep_weight_norms=scaled).load_into(
            GenesisUNet(features=(4, 8))
        )
        assert network.encoder.stages[1][1].conv.weight.norm().item() == pytest.approx(factor * norm, rel=0.2)


def test_a_refused_transfer_leaves_the_network_alone(tmp_path):
    write_weights(tmp_path / "model.pt", GenesisUNet(features=(4, 8)))
    network = GenesisUNet(features=(4, 16))
    before = copy_of(network)
    with pytest.raises(TransferError):
        InitialWeights(tmp_path / "model.pt", keep_weight_norms=True).load_into(network)
    assert same(network, before)


# --- Spectra ---


def test_new_layers_are_as_large_and_as_wide_as_they_can_be():
    torch.manual_seed(0)
    layers = layer_spectra(GenesisUNet(features=[8, 16]).state_dict())
    assert next(layer.layer for layer in layers) == "encoder.stages.0.0.conv"
    for layer in layers:
        assert layer.norm_ratio == pytest.approx(1, abs=0.2), layer
        assert layer.stable_rank > 0.4 * min(layer.channels, 27), layer


def test_rank_counts_the_directions_that_carry_weight():
    equal = torch.cat([torch.eye(4), torch.zeros(4, 4)])
    repeated = torch.ones(8, 4, 1, 1, 1)
    one, other = layer_spectra({"a.weight": equal, "b.weight": repeated, "b.bias": torch.ones(8)})
    assert (one.layer, one.channels) == ("a", 8)
    assert one.stable_rank == pytest.approx(4)
    assert other.stable_rank == pytest.approx(1)
    assert other.norm_ratio == pytest.approx((32 / (8 / 3)) ** 0.5)


def test_scaling_changes_the_norm_alone():
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(0))
    (one,), (other,) = layer_spectra({"a.weight": weights}), layer_spectra({"a.weight": 3 * weights})
    assert other.norm_ratio == pytest.approx(3 * one.norm_ratio)
    assert other.stable_rank == pytest.approx(one.stable_rank)
