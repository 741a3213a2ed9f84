"""Number formats, and any network's outputs as restored cubes."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.engines import (
    AutocastInferer,
    Float32OnSmallMaps,
    RestorationInferer,
    precision_dtype,
    to_memory_format,
)
from models_genesis_bundle.networks import GenesisUNet
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import DynUNet, SegResNetDS
from torch.nn.parallel import DistributedDataParallel


def test_names_and_devices():
    assert precision_dtype("float32", torch.device("cpu")) is torch.float32
    assert precision_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
    assert precision_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)
    with pytest.raises(ValueError, match="needs a GPU"):
        precision_dtype("float16", torch.device("cpu"))
    with pytest.raises(ValueError, match="found 'half'"):
        precision_dtype("half", torch.device("cpu"))


def test_autocast_computes_in_the_format_and_returns_float32():
    network = torch.nn.Conv3d(1, 4, 3)
    seen = []
    network.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    image = torch.rand(1, 1, 8, 8, 8)
    exact = AutocastInferer(torch.float32)(image, network)
    rough = AutocastInferer(torch.bfloat16)(image, network)
    assert seen == [torch.float32, torch.bfloat16]
    assert rough.dtype is torch.float32
    assert 0 < (rough - exact).abs().max() < 0.02


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((2, 2, 4), 1), ((2, 8, 8), 1), ((4, 4, 4), 1), ((4, 4, 2), (1, 1, 2)), ((8, 8, 2), 2), ((6, 6), 1), ((2, 6), 1)],
)
def test_gradients_in_bfloat16_are_those_in_float32_but_for_rounding(shape, stride):
    """Fails, with torch 2.13 on a processor with AVX-512 BF16, without ``Float32OnSmallMaps``."""
    torch.manual_seed(0)
    convolution = (torch.nn.Conv2d, torch.nn.Conv3d)[len(shape) - 2](8, 8, 3, stride, padding=1)
    network = to_memory_format(convolution)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        image = torch.randn(2, 8, *shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
        junk = torch.full((200_000,), float("nan"))  # what a read past the map's end finds, once it is free again
        del junk
        output = AutocastInferer(dtype)(image, network)
        target = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
        gradients.append(torch.autograd.grad((output * target).sum(), [image, *network.parameters()]))
    for exact, rough in zip(*gradients, strict=True):
        assert (rough - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (torch.nn.Conv3d(1, 4, 3, padding=1), (2, 8, 8), torch.float32),
        (torch.nn.Conv3d(1, 4, 3, padding=1), (8, 8, 2), torch.float32),
        (torch.nn.Conv3d(1, 4, 3, padding=1), (3, 3, 3), torch.bfloat16),
        (torch.nn.Conv3d(1, 4, 1), (1, 1, 1), torch.bfloat16),
        (torch.nn.ConvTranspose3d(1, 4, 3, 2, padding=1), (2, 4, 4), torch.float32),
        (torch.nn.ConvTranspose2d(1, 4, 2, 2), (2, 2), torch.bfloat16),
    ],
)
def test_on_a_cpu_maps_with_a_side_shorter_than_the_kernel_are_computed_in_float32(layer, shape, dtype):
    seen = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    AutocastInferer(torch.bfloat16)(torch.rand(1, 1, *shape), layer)
    hook.remove()
    assert seen == [dtype]


def test_arguments_by_name_and_maps_without_a_batch_are_told_apart_too():
    weight = torch.ones(4, 1, 3, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16), Float32OnSmallMaps():
        assert torch.nn.functional.conv3d(input=torch.ones(1, 2, 4, 4), weight=weight, padding=1).dtype is torch.float32
        assert torch.nn.functional.conv3d(torch.ones(1, 4, 4, 4), weight, padding=1).dtype is torch.bfloat16


@pytest.mark.parametrize("dims", [2, 3])
def test_channels_last_changes_layout_not_values(dims):
    conv = (torch.nn.Conv2d, torch.nn.Conv3d)[dims - 2]
    network = torch.nn.Sequential(conv(2, 3, 3), torch.nn.ReLU(), conv(3, 2, 1))
    image = torch.rand(1, 2, *(8,) * dims)
    before = network(image)
    to_memory_format(network)
    layout = (torch.channels_last, torch.channels_last_3d)[dims - 2]
    assert network[0].weight.is_contiguous(memory_format=layout)
    torch.testing.assert_close(network(image), before)


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
    with pytest.raises(
        ValueError, match=r"output_activation: expected .*, but GenesisUNet already applies 'sigmoid'.* network_def::"
    ):
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
