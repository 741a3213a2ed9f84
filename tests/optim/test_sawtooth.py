import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.optim import parameter_groups, sawtooth


def start(**settings):
    optimizer = torch.optim.SGD(parameter_groups(GenesisUNet(features=(4, 8)), 1.0))
    return optimizer, sawtooth(optimizer, **{"warmup_epochs": 4, "max_epochs": 12, **settings})


def rates(optimizer, schedule, epochs):
    """The rates of head and encoder in each epoch."""
    found = []
    for _ in range(epochs):
        found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[-1]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def test_first_the_decoder_then_all_then_a_decay():
    head, encoder = zip(*rates(*start(power=1), 13), strict=True)
    assert head == pytest.approx([0.25, 0.5, 0.75, 1, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0])
    assert encoder == pytest.approx([0, 0, 0, 0, *head[4:]])


def test_it_goes_on_where_it_stopped():
    whole = rates(*start(), 12)
    optimizer, schedule = start()
    first = rates(optimizer, schedule, 5)
    states = optimizer.state_dict(), schedule.state_dict()
    optimizer, schedule = start()
    optimizer.load_state_dict(states[0])
    schedule.load_state_dict(states[1])
    assert first + rates(optimizer, schedule, 7) == whole


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
    with pytest.raises(ValueError, match=f"warmup_epochs: expected 1 to 5 .*max_epochs=12.*found {warmup_epochs}"):
        start(warmup_epochs=warmup_epochs)


def test_groups_that_are_not_by_part():
    with pytest.raises(ValueError, match="groups of the encoder and of other parts"):
        sawtooth(torch.optim.SGD(torch.nn.Linear(2, 2).parameters()), 1, 10)
