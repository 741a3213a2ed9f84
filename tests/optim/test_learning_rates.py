import copy

import pytest
import torch
from models_genesis_bundle.engines import freeze_parts
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.optim import parameter_groups
from models_genesis_bundle.weights import UnknownLayoutError, key_parts
from monai.engines import SupervisedTrainer
from monai.networks.nets import DynUNet, SegResNet, SegResNetDS, SwinUNETR


def unet():
    return GenesisUNet(features=(4, 8))


def dynunet():
    return DynUNet(3, 1, 1, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 16], norm_name="batch")


def segresnet():
    return SegResNetDS(init_filters=8, blocks_down=(1, 1), out_channels=1)


def swinunetr():
    pytest.importorskip("einops", reason="SwinUNETR needs einops")
    return SwinUNETR(1, 2, feature_size=12, use_v2=True)


def train(network, groups, iterations=2):
    """A few iterations of MONAI's trainer, which calls `network.train()` in each."""
    torch.manual_seed(0)
    cubes = [{"image": torch.rand(2, 1, 8, 8, 8), "label": torch.rand(2, 1, 8, 8, 8)} for _ in range(iterations)]
    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=cubes,
        network=network,
        optimizer=torch.optim.AdamW(groups, weight_decay=0.1),
        loss_function=torch.nn.MSELoss(),
        decollate=False,
    ).run()


@pytest.mark.parametrize("build", [unet, dynunet, segresnet])
def test_each_parameter_is_in_the_group_of_its_part(build):
    network = build()
    groups = parameter_groups(network, 0.01, encoder_lr_factor=0.1)
    assert [group["name"] for group in groups] == ["head", "decoder", "encoder"]
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.01, 0.001])
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    parts = key_parts(network.state_dict())
    found = [named[id(parameter)] for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(named.values())
    for group in groups:
        assert {named[id(parameter)] for parameter in group["params"]} <= set(parts[group["name"]])


def test_the_rate_falls_layer_by_layer():
    groups = parameter_groups(GenesisUNet(features=(4, 8, 16)), 1.0, encoder_lr_factor=0.5, layer_decay=0.5)
    assert {group["name"]: group["lr"] for group in groups} == {
        "head": 1,
        "decoder.stages.1": 1 / 2,
        "decoder.stages.0": 1 / 4,
        "encoder.stages.2": 1 / 16,
        "encoder.stages.1": 1 / 32,
        "encoder.stages.0": 1 / 64,
    }
    assert groups[0]["name"] == "head", "its rate is the one that is logged"


@pytest.mark.parametrize(
    ("build", "layers"),
    [
        (dynunet, ["encoder.input_block", "encoder.downsamples.0", "encoder.bottleneck", "decoder.upsamples.0"]),
        (segresnet, ["encoder.conv_init", "encoder.layers.0", "encoder.layers.1", "decoder.up_layers.0", "head"]),
        (
            lambda: SegResNet(3, 8, out_channels=2, blocks_down=(1, 1), blocks_up=(1,)),
            [
                "encoder.convInit",
                "encoder.down_layers.0",
                "encoder.down_layers.1",
                "decoder.up_layers.0",
                "decoder.conv_final",
            ],
        ),
        (
            swinunetr,
            ["encoder.swinViT", *(f"encoder.swinViT.layers{level}.0" for level in (1, 2, 3, 4)), "encoder.encoder10"],
        ),
    ],
)
def test_layers_of_other_networks(build, layers):
    network = build()
    groups = parameter_groups(network, 1.0, layer_decay=0.9)
    names = [group["name"] for group in groups]
    assert names[0] == "head"
    assert list(reversed(names))[: len(layers)] == layers
    assert [group["lr"] for group in groups] == pytest.approx([0.9**depth for depth in range(len(groups))])
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_one_rate_for_all_is_one_group_of_any_network():
    network = torch.nn.Linear(2, 2)
    (group,) = parameter_groups(network, 0.5)
    assert (group["lr"], group["name"], len(group["params"])) == (0.5, "network", 2)
    for settings in ({"encoder_lr_factor": 0.1}, {"layer_decay": 0.9}):
        with pytest.raises(UnknownLayoutError, match="Cannot identify encoder"):
            parameter_groups(network, 0.5, **settings)


@pytest.mark.parametrize("build", [unet, dynunet, segresnet])
def test_a_frozen_encoder_stays_to_the_last_bit_while_the_rest_learns(build):
    network = build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    groups = parameter_groups(freeze_parts(network, ["encoder"]), 0.01)
    assert [group["name"] for group in groups] == ["head", "decoder"]
    train(network, groups)
    after, parts = network.state_dict(), key_parts(before)
    assert any("running_mean" in key for key in parts["encoder"])
    assert all(torch.equal(before[key], after[key]) for key in parts["encoder"])
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key for key in parts["decoder"] if "running_mean" in key or key.endswith("weight")} <= changed
    assert "running" not in "".join(changed & set(parts["encoder"]))


def test_without_freezing_the_encoder_learns():
    network = unet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train(network, parameter_groups(network, 0.01))
    assert all(not torch.equal(before[key], value) for key, value in network.state_dict().items() if "mean" in key)


def test_a_copy_of_a_frozen_network_is_frozen_by_itself():
    network = freeze_parts(unet(), "encoder")
    twin = copy.deepcopy(network)
    network.train(), twin.train()
    twin(torch.rand(1, 1, 8, 8, 8))
    assert not any(module.training for module in twin.encoder.modules())
    assert all(module.training for module in twin.decoder.modules())
    assert all(module.training for module in network.encoder.modules())


def test_freezing_twice_is_freezing_once():
    network = freeze_parts(freeze_parts(unet(), ["encoder", "decoder"]), ["encoder", "decoder"])
    (group,) = parameter_groups(network, 0.1)
    assert group["name"] == "head"
    assert group["params"] == [network.head.weight, network.head.bias]


@pytest.mark.parametrize(("setting", "value"), [("layer_decay", 0), ("layer_decay", 1.1), ("encoder_lr_factor", 0)])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: expected a number above 0.*, found {value}"):
        parameter_groups(unet(), 0.1, **{setting: value})


def test_freezing_what_is_not_there_or_all():
    with pytest.raises(ValueError, match="freeze: expected names from encoder, decoder, head, or all, found encodr"):
        freeze_parts(unet(), "encodr")
    with pytest.raises(ValueError, match="there is nothing to train"):
        parameter_groups(freeze_parts(unet(), "all"), 0.1)
