"""Any network's outputs become restored cubes in one way."""

import pytest
import torch
from models_genesis_bundle.engines import RestorationInferer
from models_genesis_bundle.networks import GenesisUNet
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import DynUNet, SegResNetDS
from torch.nn.parallel import DistributedDataParallel

CUBES = torch.rand(2, 1, 16, 16, 16)


def segresnet() -> SegResNetDS:
    return SegResNetDS(init_filters=4, blocks_down=(1, 1, 1), out_channels=1, dsdepth=2, norm="INSTANCE")


def dynunet() -> DynUNet:
    return DynUNet(3, 1, 1, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2], [4, 8, 8, 8], deep_supervision=True, deep_supr_num=2)


class Compiled(torch.nn.Module):
    """A network as ``torch.compile`` wraps it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._orig_mod = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._orig_mod(x)


@pytest.fixture
def pair():
    """The same network with a sigmoid of its own, and without; its logits are far from 0, where a sigmoid bends."""
    torch.manual_seed(0)
    own = GenesisUNet(features=(4, 8)).eval()
    with torch.no_grad():
        own.head.weight.mul_(100)
    bare = GenesisUNet(features=(4, 8), output_activation=None).eval()
    bare.load_state_dict(own.state_dict())
    return own, bare


@pytest.fixture
def process_group():
    """A group of one process."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("build", [segresnet, dynunet])
def test_the_finest_of_several_outputs_is_taken(build):
    """Both networks norm by instance, so that evaluation, where they return the finest alone, tells which one it is."""
    network = build().train()
    outputs = network(CUBES)
    assert isinstance(outputs, list) or outputs.shape[1] == 3, "deep supervision must be on"
    restored = RestorationInferer(torch.float32, "sigmoid")(CUBES, network)
    torch.testing.assert_close(restored, network.eval()(CUBES).sigmoid())


@pytest.mark.parametrize(
    "inferer", [None, SlidingWindowInferer(16, overlap=0.5, mode="gaussian")], ids=["cubes", "windows"]
)
def test_the_activation_acts_as_if_it_were_the_networks_own(pair, inferer):
    """On each window before the blending: the mean of sigmoids is not the sigmoid of the mean."""
    own, bare = pair
    inputs = torch.rand(1, 1, 24, 24, 16)
    run = RestorationInferer(torch.float32, "sigmoid", inferer)
    wanted = own(inputs) if inferer is None else inferer(inputs, own)
    torch.testing.assert_close(run(inputs, own), wanted)
    torch.testing.assert_close(run(inputs, bare), wanted)
    if inferer is not None:
        assert not torch.allclose(inferer(inputs, bare).sigmoid(), wanted, atol=1e-4)


def test_without_an_activation_outputs_stay_as_they_are(pair):
    _, bare = pair
    torch.testing.assert_close(RestorationInferer(torch.float32, None)(CUBES, bare), bare(CUBES))


@pytest.mark.parametrize("activation", [None, "tanh"])
def test_a_network_that_ends_otherwise_is_refused(pair, activation):
    with pytest.raises(ValueError, match=r"output_activation: GenesisUNet ends with 'sigmoid', .* network_def::"):
        RestorationInferer(torch.float32, activation)(CUBES, pair[0])


@pytest.mark.parametrize("wrap", [Compiled, DistributedDataParallel])
def test_an_own_activation_is_seen_through_wrappers(pair, process_group, wrap):
    own = pair[0]
    restored = RestorationInferer(torch.float32, "sigmoid")(CUBES, wrap(own))
    torch.testing.assert_close(restored, own(CUBES))


def test_the_activation_is_computed_in_float32():
    network = torch.nn.Conv3d(1, 1, 1)
    restored = RestorationInferer(torch.bfloat16, "sigmoid")(CUBES, network)
    assert restored.dtype is torch.float32
    assert not torch.equal(restored, restored.bfloat16().float()), "rounded to bfloat16 after the activation"
    torch.testing.assert_close(restored, network(CUBES).sigmoid(), atol=0.01, rtol=0)


def test_outside_of_a_mask_the_input_stays_and_has_no_gradient():
    network = GenesisUNet(features=(4, 8)).eval()
    mask = torch.zeros(2, 1, 16, 16, 16, dtype=torch.bool)
    mask[:, :, :8] = True
    inferer = RestorationInferer(torch.float32, "sigmoid")
    restored = inferer(CUBES, network, mask=mask)
    assert torch.equal(restored[:, :, 8:], CUBES[:, :, 8:])
    assert torch.equal(restored[:, :, :8], inferer(CUBES, network)[:, :, :8])
    (gradient,) = torch.autograd.grad((restored - 1).square()[:, :, 8:].sum(), network.head.weight)
    assert not gradient.any()
