"""The overlays configs/schedule_*.yaml, and the sawtooth schedule."""

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.optim import parameter_groups, sawtooth
from monai.bundle import ConfigParser


def build(root, name, **settings):
    optimizer = torch.optim.SGD(parameter_groups(GenesisUNet(features=(4, 8)), 1.0, layer_decay=0.5))
    parser = ConfigParser(ConfigParser.load_config_files([root / "configs" / f"{name}.yaml"]))
    parser.update({"optimizer": "$" + "@the_optimizer", "the_optimizer": optimizer, **settings})
    return optimizer, parser.get_parsed_content("lr_scheduler")


def rates(optimizer, schedule, epochs):
    found = []
    for _ in range(epochs):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found


def test_a_linear_warm_up_and_a_decay_to_zero(root):
    head = [rate[0] for rate in rates(*build(root, "schedule_warmup", max_epochs=10, warmup_epochs=4), 11)]
    assert head[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert head[5:] == pytest.approx([(1 - epoch / 6) ** 0.9 for epoch in range(1, 7)])


def test_a_warm_up_of_the_only_epoch(root):
    assert rates(*build(root, "schedule_warmup", max_epochs=1), 1)[0][0] == 1


@pytest.mark.parametrize("name", ["schedule_warmup", "schedule_sawtooth"])
def test_a_tenth_of_the_epochs_by_default(root, name):
    head = [rate[0] for rate in rates(*build(root, name, max_epochs=40), 4)]
    assert head == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("name", ["schedule_warmup", "schedule_sawtooth"])
def test_they_scale_the_rate_of_each_layer(root, name):
    after_warm_up = rates(*build(root, name, max_epochs=20), 6)[3]
    assert after_warm_up == pytest.approx([after_warm_up[0] * 0.5**depth for depth in range(4)])


@pytest.mark.parametrize("name", ["schedule_warmup", "schedule_sawtooth"])
def test_a_resumed_schedule_goes_on(root, name):
    whole = rates(*build(root, name, max_epochs=12), 12)
    optimizer, schedule = build(root, name, max_epochs=12)
    first = rates(optimizer, schedule, 5)
    states = optimizer.state_dict(), schedule.state_dict()
    optimizer, schedule = build(root, name, max_epochs=12)
    optimizer.load_state_dict(states[0])
    schedule.load_state_dict(states[1])
    assert first + rates(optimizer, schedule, 7) == whole


def test_first_the_decoder_then_all_then_a_decay(root):
    settings = {"max_epochs": 12, "lr_scheduler::warmup_epochs": 4, "lr_scheduler::power": 1}
    found = rates(*build(root, "schedule_sawtooth", **settings), 13)
    head, encoder = [rate[0] for rate in found], [rate[-1] * 8 for rate in found]
    assert head == pytest.approx([0.25, 0.5, 0.75, 1, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0])
    assert encoder == pytest.approx([0, 0, 0, 0, *head[4:]])


def test_the_encoder_keeps_its_weights_in_the_first_warm_up():
    network = GenesisUNet(features=(4, 8))
    optimizer = torch.optim.AdamW(parameter_groups(network, 0.1), weight_decay=0.1)
    schedule = sawtooth(optimizer, warmup_epochs=2, max_epochs=5)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    for epoch in range(3):
        network(torch.rand(1, 1, 8, 8, 8)).sum().backward()
        optimizer.step()
        schedule.step()
        kept = {name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])}
        assert {name for name in before if name.startswith("encoder")} <= kept or epoch == 2
        assert "head.bias" not in kept
    assert not kept & {name for name in before if name.endswith("norm.bias")}


@pytest.mark.parametrize("warmup_epochs", [0, 6])
def test_warm_ups_that_do_not_fit(warmup_epochs):
    optimizer = torch.optim.SGD(parameter_groups(GenesisUNet(features=(4, 8)), 1.0))
    with pytest.raises(ValueError, match=f"warmup_epochs: expected 1 to 5 .*max_epochs=12.*found {warmup_epochs}"):
        sawtooth(optimizer, warmup_epochs, 12)


def test_groups_that_are_not_by_part():
    with pytest.raises(ValueError, match="groups for the encoder and for other parts"):
        sawtooth(torch.optim.SGD(torch.nn.Linear(2, 2).parameters()), 1, 10)
