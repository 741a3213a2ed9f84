import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import set_foreground_prior, transfer_weights
from monai.networks.nets import DynUNet, SegResNetDS, UNet


def genesis(classes=4):
    return GenesisUNet(out_channels=classes, features=(4, 8), output_activation=None)


def dynunet():
    return DynUNet(3, 1, 4, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 16], deep_supervision=True, deep_supr_num=1)


def segresnet():
    return SegResNetDS(init_filters=8, blocks_down=(1, 1), out_channels=4)


@pytest.mark.parametrize("build", [genesis, dynunet, segresnet])
def test_a_new_network_predicts_background(build):
    torch.manual_seed(0)
    network = set_foreground_prior(build(), 0.03).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 1, 32, 32, 32))
    probabilities = output.softmax(1)
    assert probabilities[:, 0].mean() > 0.9
    assert 0 < probabilities[:, 1:].mean() < 0.03


def test_the_biases_are_the_logarithms_of_the_probabilities():
    network = set_foreground_prior(genesis(), 0.03)
    torch.testing.assert_close(network.head.bias.exp(), torch.tensor([0.97, 0.01, 0.01, 0.01]))
    torch.testing.assert_close(network.head.bias.softmax(0), network.head.bias.exp())


def test_a_head_that_is_loaded_keeps_its_own():
    network, other = set_foreground_prior(genesis(), 0.03), genesis()
    transfer_weights(network, other.state_dict(), ["encoder", "decoder", "head"], ["head"])
    assert torch.equal(network.head.bias, other.head.bias)


@pytest.mark.parametrize("build", [lambda: UNet(3, 1, 4, (4, 8), (2,)), lambda: genesis(1)])
def test_a_network_without_such_a_head_stays_and_the_log_says_so(build, caplog):
    network = build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert set_foreground_prior(network, 0.03) is network
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())
    assert "foreground_prior" in caplog.text


def test_none_leaves_the_biases():
    network = genesis()
    bias = network.head.bias.clone()
    assert torch.equal(set_foreground_prior(network, None).head.bias, bias)


@pytest.mark.parametrize("wrong", [0, 1, -0.1, 2])
def test_a_probability_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"foreground_prior::probability: expected a number .*, found {wrong}"):
        set_foreground_prior(genesis(), wrong)
