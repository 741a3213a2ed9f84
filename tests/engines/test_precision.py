import pytest
import torch

from models_genesis_bundle.engines import AutocastInferer, precision_dtype, to_memory_format


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
