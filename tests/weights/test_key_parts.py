import pytest
import torch
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import UnknownLayoutError, key_parts, network_parts, network_record, select_parts

# For each network, a key of encoder, decoder and head about which one could be wrong.
EXAMPLES = {
    "GenesisUNet": ("encoder.stages.1.1.norm.running_var", "decoder.stages.0.up.weight", "head.bias"),
    "SegResNetDS": (
        "encoder.layers.2.blocks.0.conv2.weight", "up_layers.1.upsample.deconv.weight", "up_layers.0.head.weight",
    ),
    "SegResNet": ("down_layers.1.0.conv.weight", "conv_final.0.weight", "conv_final.2.conv.weight"),
    "DynUNet": (
        "skip_layers.next_layer.next_layer.next_layer.conv3.conv.weight",
        "skip_layers.next_layer.upsample.transp_conv.conv.weight",
        "skip_layers.next_layer.super_head.conv.conv.weight",
    ),
    "SwinUNETR": ("encoder10.layer.conv1.conv.weight", "decoder1.conv_block.conv3.conv.weight", "out.conv.conv.bias"),
    "BasicUNet": ("down_4.convs.conv_1.conv.weight", "upcat_4.upsample.deconv.weight", "final_conv.weight"),
}  # fmt: skip


def test_each_key_is_in_one_part_and_the_head_is_what_the_classes_change(build):
    network = build(1, 2)
    state, more_classes = network.state_dict(), build(1, 3).state_dict()
    parts = key_parts(state)
    assert sorted(key for keys in parts.values() for key in keys) == sorted(state)
    assert parts["head"] == [key for key in state if state[key].shape != more_classes[key].shape]
    for part, key in zip(("encoder", "decoder", "head"), EXAMPLES[type(network).__name__], strict=True):
        assert key in parts[part]


def test_the_input_reaches_only_the_encoder(build):
    state, more_channels = build(1, 2).state_dict(), build(2, 2).state_dict()
    changed = {key for key in state if state[key].shape != more_channels[key].shape}
    assert changed
    assert changed <= set(key_parts(state)["encoder"])


def test_a_network_that_knows_its_parts_and_its_keys_agree():
    for network in (GenesisUNet(features=(4, 8)), GenesisClassifier(features=(4, 8), hidden=4)):
        assert network.parts() == key_parts(network.state_dict()) == network_parts(network)
        assert network_record(network)["parts"] == network.parts()
    assert key_parts(GenesisClassifier(features=(4, 8), hidden=4).state_dict())["decoder"] == []


def test_an_unknown_layout_is_an_error_that_says_what_to_do():
    with pytest.raises(UnknownLayoutError, match=r"from the keys 0\.weight, 0\.bias, …\. .* a method `parts\(\)`"):
        key_parts(torch.nn.Sequential(torch.nn.Linear(1, 1)).state_dict())
    with pytest.raises(UnknownLayoutError, match=r"the keys encoder\.weight, classifier\.weight"):
        key_parts(["encoder.weight", "classifier.weight"])
    with pytest.raises(UnknownLayoutError, match=r"\(none\)"):
        key_parts([])
    assert "parts" not in network_record(torch.nn.Linear(1, 1))


class Named(torch.nn.Linear):
    named = ("weight", "bias")

    def parts(self):
        return {"encoder": [*self.named], "decoder": [], "head": []}


def test_a_network_of_ones_own_names_its_parts():
    assert network_parts(Named(1, 1))["encoder"] == ["weight", "bias"]
    assert network_record(Named(1, 1))["parts"]["encoder"] == ["weight", "bias"]


@pytest.mark.parametrize("named", [("weight",), ("weight", "bias", "bias"), ("weight", "bias", "other")])
def test_parts_that_miss_or_repeat_a_key_are_refused(named):
    network = Named(1, 1)
    network.named = named
    with pytest.raises(ValueError, match=r"Named\.parts\(\): must name each key of the state dict once"):
        network_parts(network)


def test_parts_are_selected_by_name():
    known = {"encoder": ["encoder.a"], "decoder": [], "head": ["head.a"]}
    assert select_parts("encoder", known, "freeze") == ("encoder",)
    assert select_parts(["head", "encoder"], known, "freeze") == ("head", "encoder")
    assert select_parts("all", known, "freeze") == ("encoder", "head")
    assert select_parts([], known, "freeze") == ()
    with pytest.raises(ValueError, match="freeze: expected names from encoder, decoder, head, or all, found encodr"):
        select_parts(["encoder", "encodr"], known, "freeze")
