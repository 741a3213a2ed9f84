"""nnssl's checkpoint: its plan describes the network, which nnU-Net builds anew from it."""

import json
import logging

import pytest
import torch
from models_genesis_bundle.weights import TargetError, convert, read_checkpoint, write_for, write_weights
from monai.networks.nets import DynUNet
from torch import nn

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet", reason="needs dynamic-network-architectures"
)

Z_SCORED = {"intensity": {"mode": "zscore"}, "spacing": [1.0, 2.0, 3.0], "orientation": "RAS"}
IMPORTED = {
    "torch.nn.modules.conv.Conv3d": nn.Conv3d,
    "torch.nn.modules.instancenorm.InstanceNorm3d": nn.InstanceNorm3d,
    "torch.nn.LeakyReLU": nn.LeakyReLU,
}


def dynunet(kernel=3):
    kernels, strides = [3, 3, kernel, 3], [1, 2, 2, (2, 2, 1)]
    return DynUNet(3, 1, 1, kernels, strides, strides[1:], [4, 6, 8, 10])


def residual_unet(**arguments):
    return unet.ResidualEncoderUNet(
        1, 3, [4, 6, 8], nn.Conv3d, [[3, 3, 1], 3, 3], [1, [2, 2, 1], 2], [1, 2, 3], 1, 1, True,
        nn.InstanceNorm3d, {"affine": True}, nonlin=nn.LeakyReLU, **arguments,
    )  # fmt: skip


def rebuild(plan, in_channels=1):
    """The network that nnU-Net builds from a plan."""
    architecture = plan["architecture_plans"]
    arguments = dict(architecture["arch_kwargs"])
    for name in architecture["arch_kwargs_requiring_import"]:
        arguments[name] = None if arguments[name] is None else IMPORTED[arguments[name]]
    return getattr(unet, architecture["arch_class_name"])(in_channels, num_classes=1, **arguments)


@pytest.mark.parametrize("build", [dynunet, lambda: dynunet(kernel=(3, 3, 1)), residual_unet])
def test_the_planned_network_takes_encoder_and_stem(tmp_path, build):
    """As nnU-Net loads it: the modules at its own places, strictly, from the plan's places."""
    write_for("nnssl", build(), tmp_path / "genesis.pth", preprocessing=Z_SCORED, patch_size=[32, 64, 64])
    content = read_checkpoint(tmp_path / "genesis.pth")
    plan, weights = content["nnssl_adaptation_plan"], content["network_weights"]
    network = rebuild(plan)
    for own, theirs in ((network.key_to_encoder, "key_to_encoder"), (network.key_to_stem, "key_to_stem")):
        start = plan[theirs] + "."
        state = {key.removeprefix(start): value for key, value in weights.items() if key.startswith(start)}
        network.get_submodule(own).load_state_dict(state)
    assert set(plan["keys_to_in_proj"]) == set(network.keys_to_in_proj)
    assert all(f"{key}.weight" in weights for key in plan["keys_to_in_proj"])
    assert plan["recommended_downstream_patchsize"] == [32, 64, 64]


@pytest.mark.parametrize("build", [dynunet, residual_unet])
def test_the_planned_network_has_the_strides_and_kernels_of_the_pretrained_one(tmp_path, build):
    source = build().eval()
    write_for("nnssl", source, tmp_path / "genesis.pth", preprocessing=Z_SCORED)
    content = read_checkpoint(tmp_path / "genesis.pth")
    network = rebuild(content["nnssl_adaptation_plan"]).eval()
    own = network.state_dict()
    weights = {key: value for key, value in content["network_weights"].items() if value.shape == own[key].shape}
    network.load_state_dict(own | weights)
    image = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        output = network(image.permute(0, 1, 4, 3, 2)).permute(0, 1, 4, 3, 2)
        assert torch.allclose(output, source(image), atol=1e-5)


def test_the_plan_says_how_the_scans_were_prepared(tmp_path):
    write_weights(tmp_path / "model.pt", dynunet(), preprocessing=Z_SCORED)
    convert(tmp_path / "model.pt", "nnssl", tmp_path / "genesis.pth", in_channels=2)
    plan = read_checkpoint(tmp_path / "genesis.pth")["nnssl_adaptation_plan"]
    (configuration,) = plan["pretrain_plan"]["configurations"].values()
    assert configuration["spacing"] == [3.0, 2.0, 1.0]
    assert configuration["normalization_schemes"] == ["ZScoreNormalization"]
    assert plan["pretrain_num_input_channels"] == 2


@pytest.mark.parametrize(
    ("spacing", "style"), [(None, "noresample"), ([1.0, 1.0, 1.0], "onemmiso"), ([1.0, 1.0, 2.0], "median")]
)
def test_the_configuration_is_called_after_its_spacing(tmp_path, spacing, style):
    write_for("nnssl", dynunet(), tmp_path / "genesis.pth", preprocessing={**Z_SCORED, "spacing": spacing})
    plan = read_checkpoint(tmp_path / "genesis.pth")["nnssl_adaptation_plan"]["pretrain_plan"]
    assert {name: entry["spacing_style"] for name, entry in plan["configurations"].items()} == {style: style}


def test_without_an_ending_a_folder_for_the_hub_is_written(tmp_path):
    """The three files that nnU-Net downloads when it is given a repository of the hub."""
    write_weights(tmp_path / "model.pt", dynunet(kernel=(3, 3, 1)), preprocessing=Z_SCORED)
    convert(tmp_path / "model.pt", "nnssl", tmp_path / "hub" / "genesis", patch_size=[32, 64, 64])
    folder = write_for("nnssl", residual_unet(), tmp_path / "residual", preprocessing=Z_SCORED).parent
    for written, name in ((tmp_path / "hub" / "genesis", "PlainConvUNet"), (folder, "ResidualEncoderUNet")):
        assert sorted(path.name for path in written.iterdir()) == [
            "adaptation_plan.json",
            "checkpoint_final.pth",
            "config.json",
        ]
        content = read_checkpoint(written / "checkpoint_final.pth")
        plan = json.loads((written / "adaptation_plan.json").read_text())
        assert plan.pop("trainer_name") == content["trainer_name"]
        assert plan == content["nnssl_adaptation_plan"]
        assert plan["architecture_kwargs"]["kernel_sizes"] == plan["architecture_plans"]["arch_kwargs"]["kernel_sizes"]
        assert json.loads((written / "config.json").read_text())["architectures"] == [name]


@pytest.mark.parametrize(("mode", "warned"), [("window", "mode window"), (None, "mode unknown"), ("zscore", "")])
def test_other_intensities_than_z_scores_are_warned_of(tmp_path, caplog, mode, warned):
    preprocessing = None if mode is None else {"intensity": {"mode": mode}}
    with caplog.at_level(logging.WARNING):
        write_for("nnssl", dynunet(), tmp_path / "genesis.pth", preprocessing=preprocessing)
    assert warned in caplog.text
    assert bool(caplog.records) == bool(warned)


def test_networks_that_nnunet_does_not_plan_are_refused(tmp_path):
    bottlenecks = residual_unet(block=unet.BottleneckD, bottleneck_channels=4)
    flat = DynUNet(2, 1, 1, [3, 3, 3], [1, 2, 2], [2, 2], [4, 6, 8])
    for network, reason in (
        (bottlenecks, r"bottleneck blocks\. Pretrain with BasicBlockD"),
        (flat, "3D networks, found a 2D network"),
    ):
        with pytest.raises(TargetError, match=reason):
            write_for("nnssl", network, tmp_path / "genesis.pth")
