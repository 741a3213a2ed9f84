import copy

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.optim import Muon
from models_genesis_bundle.optim.muon import orthogonalised


@pytest.mark.parametrize("shape", [(16, 216), (54, 32), (8, 8)], ids=["wide", "tall", "square"])
def test_singular_values_come_near_one_and_their_directions_stay(shape):
    torch.manual_seed(0)
    left, values, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    result = orthogonalised(left * torch.logspace(0, -1.5, len(values)) @ right)
    assert result.shape == shape
    within = left.mT @ result @ right.mT
    assert within.diagonal().min() > 0.6
    assert within.diagonal().max() < 1.3
    torch.testing.assert_close(within, within.diagonal().diag(), atol=1e-3, rtol=0)


def test_a_batch_is_computed_as_its_matrices_are():
    torch.manual_seed(0)
    matrices = torch.randn(3, 16, 54) * torch.tensor([1e-3, 1.0, 50.0]).view(3, 1, 1)
    for batched, matrix in zip(orthogonalised(matrices), matrices, strict=True):
        torch.testing.assert_close(batched, orthogonalised(matrix), atol=1e-5, rtol=1e-4)


def test_kernels_of_one_shape_step_as_each_would_alone():
    torch.manual_seed(0)
    network = torch.nn.Sequential(*(torch.nn.Conv3d(4, 4, 3) for _ in range(3)), torch.nn.Conv3d(4, 2, 1))
    twin = copy.deepcopy(network)
    for kernel, other in zip(network.parameters(), twin.parameters(), strict=True):
        kernel.grad = torch.randn_like(kernel)
        other.grad = kernel.grad.clone()
    Muon(network.parameters()).step()
    for convolution in twin:
        Muon(convolution.parameters()).step()
    for found, wanted in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found, wanted)


def test_an_update_of_a_kernel_has_the_size_of_adamws_and_full_rank():
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(8, 16, 3)
    before = convolution.weight.detach().clone()
    direction, other = torch.randn(16), torch.randn(216)
    convolution.weight.grad = (torch.outer(direction, other) + 0.05 * torch.randn(16, 216)).reshape(before.shape)
    Muon(convolution.parameters(), lr=0.01, weight_decay=0).step()
    update = (convolution.weight.detach() - before).flatten(1)
    assert update.square().mean().sqrt().item() == pytest.approx(0.01 * 0.2, rel=0.2)
    values = torch.linalg.svdvals(update)
    assert values[0] < 2.5 * values[-1]  # of the gradient: above 20
    assert (update * torch.outer(direction, other)).sum() < 0


def test_everything_else_goes_as_with_adamw():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(4, 1, 1), torch.nn.BatchNorm3d(1))
    twin = copy.deepcopy(network)
    optimizers = Muon(network.parameters(), lr=0.1), torch.optim.AdamW(twin.parameters(), lr=0.1, weight_decay=0)
    for seed in range(3):
        for model, optimizer in zip((network, twin), optimizers, strict=True):
            torch.manual_seed(seed)
            optimizer.zero_grad()
            (model(torch.rand(2, 4, 4, 4, 4)) * torch.rand(2, 1, 4, 4, 4)).sum().backward()
            optimizer.step()
    for found, wanted in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found, wanted)


def test_weight_decay_shrinks_kernels_only():
    convolution = torch.nn.Conv3d(2, 4, 3)
    before = copy.deepcopy(convolution.state_dict())
    for parameter in convolution.parameters():
        parameter.grad = torch.zeros_like(parameter)
    Muon(convolution.parameters(), lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(convolution.weight.detach(), 0.95 * before["weight"])
    torch.testing.assert_close(convolution.bias.detach(), before["bias"])


def _steps(network, optimizer, seeds):
    for seed in seeds:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        (network(torch.rand(2, 1, 8, 8, 8)) - torch.rand(2, 1, 8, 8, 8)).square().mean().backward()
        optimizer.step()


def test_it_learns_and_goes_on_exactly_where_it_was():
    torch.manual_seed(0)
    network = GenesisUNet(features=(4, 8)).to(memory_format=torch.channels_last_3d)
    optimizer = Muon(network.parameters(), lr=1e-3)
    _steps(network, optimizer, [0, 1])
    twin, resumed = copy.deepcopy(network), None
    resumed = Muon(twin.parameters(), lr=1e-3)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    _steps(network, optimizer, [2, 3])
    _steps(twin, resumed, [2, 3])
    for found, wanted in zip(twin.parameters(), network.parameters(), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    "wrong", [{"lr": -1}, {"weight_decay": -0.1}, {"momentum": 1.0}], ids=lambda wrong: next(iter(wrong))
)
def test_arguments_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Muon([torch.nn.Parameter(torch.zeros(2, 2))], **wrong)
