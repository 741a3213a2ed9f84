"""Collapsed layers are found: norms against new ones, directions that are used."""

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import layer_spectra


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
