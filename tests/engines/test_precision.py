import pytest
import torch
from models_genesis_bundle.engines import AutocastInferer, Float32OnSmallMaps, precision_dtype, to_memory_format


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
