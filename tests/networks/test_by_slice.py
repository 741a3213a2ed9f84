"""2D networks on volumes, slice by slice."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet, SlicewiseGenesisUNet, by_slice
from models_genesis_bundle.weights import TransferError, network_record, transfer_weights, write_weights

SMALL = {"features": (4, 8), "output_activation": None}


def test_every_slice_along_z_is_the_networks_own_and_carries_gradients():
    seen = []

    def network(slices):
        seen.append(slices.shape)
        return torch.cat([slices, 2 * slices], dim=1)

    volumes = torch.rand(2, 1, 4, 6, 3, requires_grad=True)
    outputs = by_slice(network, volumes)
    assert seen == [(6, 1, 4, 6)]
    torch.testing.assert_close(outputs, torch.cat([volumes, 2 * volumes], dim=1))
    outputs.sum().backward()
    torch.testing.assert_close(volumes.grad, torch.full_like(volumes, 3))


def test_an_image_is_no_volume():
    with pytest.raises(ValueError, match=r"needs volumes \(B, C, X, Y, Z\), got the shape \(1, 1, 8, 8\)"):
        by_slice(torch.nn.Identity(), torch.zeros(1, 1, 8, 8))


def test_a_volume_is_segmented_as_the_2d_network_would_its_slices():
    torch.manual_seed(0)
    flat = GenesisUNet(spatial_dims=2, out_channels=3, **SMALL).eval()
    network = SlicewiseGenesisUNet(out_channels=3, **SMALL).eval()
    network.load_state_dict(flat.state_dict())
    volumes = torch.rand(2, 1, 8, 16, 3)
    outputs = network(volumes)
    assert outputs.shape == (2, 3, 8, 16, 3)
    for z in range(3):
        torch.testing.assert_close(outputs[..., z], flat(volumes[..., z]))


def test_its_record_rebuilds_it():
    network = SlicewiseGenesisUNet(out_channels=3, norm=("instance", {"affine": True}), **SMALL)
    twin = SlicewiseGenesisUNet(**network_record(network)["arguments"])
    twin.load_state_dict(network.state_dict())
    assert twin.config() == network.config()


def test_2d_pretraining_fills_encoder_and_decoder_and_3d_is_refused(tmp_path):
    network = SlicewiseGenesisUNet(out_channels=3, **SMALL)
    flat = write_weights(tmp_path / "flat.pt", GenesisUNet(spatial_dims=2, features=(4, 8)))
    counts = transfer_weights(network, flat, require=("encoder", "decoder")).counts()
    assert list(counts["encoder"]) == list(counts["decoder"]) == ["loaded"]
    solid = write_weights(tmp_path / "solid.pt", GenesisUNet(features=(4, 8)))
    with pytest.raises(TransferError, match=r"of another network .*GenesisUNet; here .*SlicewiseGenesisUNet"):
        transfer_weights(network, solid)
