"""Cubes that a network cannot take are named before anything is trained."""

import pytest
import torch
from models_genesis_bundle.networks import (
    GenesisClassifier,
    GenesisUNet,
    require_batch_statistics,
    require_fitting_size,
)
from monai.data import DataLoader
from monai.networks.nets import BasicUNet, DynUNet, SegResNetDS, SwinUNETR
from same_state import copy_of, same


def genesis():
    return GenesisUNet(features=(4, 8, 16, 32))


def segresnet():
    return SegResNetDS(init_filters=4, blocks_down=(1, 1, 1, 1, 1), out_channels=1, dsdepth=3, norm="INSTANCE")


def dynunet():
    strides = [1, 2, 2, 2, [2, 2, 1]]
    return DynUNet(3, 1, 1, [3] * 5, strides, strides[1:], [4] * 5, deep_supervision=True)


def basicunet():
    return BasicUNet(out_channels=1, features=(4,) * 6)


def swinunetr():
    pytest.importorskip("einops", reason="SwinUNETR needs einops")
    return SwinUNETR(1, 1, feature_size=12, depths=(1,) * 4, num_heads=(1,) * 4)


class Halving(torch.nn.Conv3d):
    """Takes cubes of 20, and gives back half of any other."""

    def forward(self, x):
        return x if x.shape[-1] == 20 else super().forward(x)


@pytest.mark.parametrize(
    ("build", "size", "fitting", "divisor"),
    [
        (genesis, [50, 64, 32], [56, 64, 32], 8),
        (segresnet, [48, 40, 32], [48, 48, 32], 16),
        (segresnet, [16, 16, 16], [32, 32, 32], 32),  # a single voxel at the bottom, which instance norm refuses
        (dynunet, [40, 64, 32], [48, 64, 32], 16),
        (basicunet, [32, 32, 8], [32, 32, 16], 16),
        (swinunetr, [48, 48, 32], [64, 64, 32], 32),
        (lambda: Halving(1, 1, 2, stride=2), [18, 20, 18], [20, 20, 20], 4),
    ],
)
def test_sides_that_do_not_fit_are_refused_with_those_that_do(build, size, fitting, divisor):
    network = build()
    with pytest.raises(ValueError, match=r"^cube_size: \w+ cannot take") as raised:
        require_fitting_size(network, size)
    assert f"divisible by {divisor} fit: `--cube_size '{fitting}'`. The network says: " in str(raised.value)
    require_fitting_size(network, fitting)


def test_the_network_stays_as_it_is():
    network, cubes = genesis(), torch.rand(2, 1, 16, 16, 16)
    before = copy_of(network)
    random_state = torch.get_rng_state()
    require_fitting_size(network, cubes.shape[2:])
    assert torch.equal(torch.get_rng_state(), random_state)
    assert same(network, before)
    network(cubes).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_setting_is_named():
    with pytest.raises(ValueError, match=r"^patch_size: .* `--patch_size '\[24, 24, 24\]'`"):
        require_fitting_size(genesis(), (20, 20, 20), setting="patch_size")


def test_another_number_of_sides_is_refused():
    with pytest.raises(ValueError, match=r"^cube_size: expected 3 sides for DynUNet, found \[64, 64\]"):
        require_fitting_size(dynunet(), [64, 64])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"in_channels": 2}, "in_channels: expected 1, .* found 2 in GenesisUNet"),
        ({"out_channels": 3}, "out_channels: expected 1, .* found 3"),
    ],
)
def test_other_channels_than_those_of_a_scan_are_refused(channels, message):
    network = GenesisUNet(features=(4, 8), **channels)
    require_fitting_size(network, [16, 16, 16])
    with pytest.raises(ValueError, match=message):
        require_fitting_size(network, [16, 16, 16], channels=1)
    require_fitting_size(GenesisUNet(features=(4, 8), in_channels=2, out_channels=2), [16, 16, 16], channels=2)


def test_a_network_that_needs_values_is_let_pass():
    class Choosing(torch.nn.Conv3d):
        def forward(self, x):
            return super().forward(x) if x.mean() > 0 else x

    require_fitting_size(Choosing(1, 1, 1), [10, 10, 10])


def classifier():
    return GenesisClassifier(features=(4, 8))


@pytest.mark.parametrize(("build", "size"), [(genesis, [8, 8, 8]), (classifier, [2, 2, 2])])
def test_a_last_batch_of_one_voxel_at_the_bottom_is_refused(build, size):
    network = build()
    with pytest.raises(
        ValueError, match=r"^batch_size: 5 training items in batches of 4 leave one cube of .* 1 value per"
    ):
        require_batch_statistics(network, size, DataLoader(range(5), batch_size=4))
    with pytest.raises(ValueError, match="larger patch_size"):
        require_batch_statistics(network, size, DataLoader(range(3), batch_size=1), setting="patch_size")


@pytest.mark.parametrize(
    ("size", "items", "batch_size", "cubes_per_item"),
    [([16, 8, 8], 5, 4, 1), ([8, 8, 8], 5, 4, 2), ([8, 8, 8], 6, 4, 1), ([8, 8, 8], 2, 4, 1)],
)
def test_larger_cubes_and_batches_have_statistics(size, items, batch_size, cubes_per_item):
    require_batch_statistics(genesis(), size, DataLoader(range(items), batch_size=batch_size), cubes_per_item)
