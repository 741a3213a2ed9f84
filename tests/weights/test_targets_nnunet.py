"""Weights for nnU-Net: the same outputs in its own networks, under every key that its loader asks for."""

import json

import pytest
import torch
from bundle_commands import TINY, arguments, run_here
from models_genesis_bundle.weights import (
    TargetError,
    TransferError,
    convert,
    key_parts,
    read_checkpoint,
    write_for,
    write_weights,
)
from monai.networks.nets import DynUNet
from torch import nn

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet", reason="needs dynamic-network-architectures"
)

WIDTHS = (4, 6, 8, 10)
NNUNET_SETTINGS = {
    "conv_op": nn.Conv3d,
    "conv_bias": True,
    "norm_op": nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "nonlin": nn.LeakyReLU,
    "nonlin_kwargs": {"inplace": True},
}
AS_IT_IS = {"orientation": "SAR"}  # trained on (Z, Y, X): no axis is turned


def dynunet(kernels=(3, 3, 3, 3), last_stride=(2, 2, 1), in_channels=1, **arguments):
    """A planned network whose every tensor differs from any other's."""
    strides = [1, 2, 2, last_stride]
    torch.manual_seed(0)
    network = DynUNet(3, in_channels, 2, kernels, strides, strides[1:], WIDTHS, **arguments)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def plain_conv_unet(last_stride=(1, 2, 2), kernels=3, in_channels=1):
    network = unet.PlainConvUNet(
        in_channels, 4, WIDTHS, kernel_sizes=kernels, strides=[1, 2, 2, last_stride],
        n_conv_per_stage=2, num_classes=2, n_conv_per_stage_decoder=2, **NNUNET_SETTINGS,
    )  # fmt: skip
    return network.eval()


def residual_unet():
    network = unet.ResidualEncoderUNet(
        1, 3, WIDTHS[:3], kernel_sizes=3, strides=[1, 2, [2, 2, 1]], n_blocks_per_stage=[1, 2, 2], num_classes=1,
        n_conv_per_stage_decoder=1, **NNUNET_SETTINGS,
    )  # fmt: skip
    return network.eval()


def write_plans(path, kernels=3, class_name="PlainConvUNet"):
    architecture = {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{class_name}",
        "arch_kwargs": {
            "n_stages": 4,
            "features_per_stage": WIDTHS,
            "kernel_sizes": kernels,
            "strides": [1, 2, 2, [1, 2, 2]],
            "n_conv_per_stage": 2,
            "n_conv_per_stage_decoder": 2,
            **NNUNET_SETTINGS,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "dropout_op": None,
            "nonlin": "torch.nn.LeakyReLU",
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    configurations = {
        "3d_fullres": {"architecture": architecture},
        "3d_cascade_fullres": {"inherits_from": "3d_fullres"},
    }
    path.write_text(json.dumps({"configurations": configurations}))
    return path


def as_nnunet_loads(network, path):
    """nnU-Net's rule: every key but those of the heads must be there in the same shape. Returns the network with them."""
    weights, own = read_checkpoint(path)["network_weights"], network.state_dict()
    for key, value in own.items():
        if ".seg_layers." not in key:
            assert weights[key].shape == value.shape, key
    assert set(weights) <= set(own)
    network.load_state_dict({**own, **weights})
    return network


@pytest.mark.parametrize("trans_bias", [False, True])
def test_a_dynunet_is_the_same_network_in_nnunet(tmp_path, trans_bias):
    """With the heads of deep supervision at the same stages."""
    source = dynunet(deep_supervision=True, deep_supr_num=2, trans_bias=trans_bias)
    write_for("nnunet", source, tmp_path / "genesis.pth", preprocessing=AS_IT_IS)
    target = plain_conv_unet(last_stride=(2, 2, 1))
    target.load_state_dict(read_checkpoint(tmp_path / "genesis.pth")["network_weights"])  # strict
    target.decoder.deep_supervision = True
    image = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        finest, *others = target(image)
        assert torch.equal(source(image), finest)
        assert all(torch.equal(*heads) for heads in zip(source.heads, others, strict=True))


@pytest.mark.parametrize("orientation", [None, "RAS", "ASR"])
def test_the_axes_are_turned_to_those_of_nnunet(tmp_path, orientation):
    """The strides of the last stage differ from axis to axis, so that a wrong order would not even fit."""
    strides = {"z": 1, "y": 2, "x": 2}
    axes = "yzx" if orientation == "ASR" else "xyz"
    source = dynunet(last_stride=[strides[axis] for axis in axes])
    preprocessing = None if orientation is None else {"orientation": orientation}
    write_for("nnunet", source, tmp_path / "genesis.pth", preprocessing=preprocessing)
    target = as_nnunet_loads(plain_conv_unet(), tmp_path / "genesis.pth")
    to_zyx = [2 + axes.index(axis) for axis in "zyx"]
    image = torch.rand(1, 1, *(8 if axis == "z" else 16 for axis in axes))
    with torch.no_grad():
        output, expected = target(image.permute(0, 1, *to_zyx)), source(image).permute(0, 1, *to_zyx)
    assert torch.allclose(output, expected, atol=1e-5)


def test_nnunets_own_residual_network_goes_over_with_its_axes_turned(tmp_path):
    source = residual_unet()
    write_for("nnunet", source, tmp_path / "genesis.pth")
    weights, own = read_checkpoint(tmp_path / "genesis.pth")["network_weights"], source.state_dict()
    assert weights.keys() == own.keys()
    turned = {key: value.permute(0, 1, 4, 3, 2) if value.dim() == 5 else value for key, value in own.items()}
    assert all(torch.equal(weights[key], turned[key]) for key in own)


def test_tensors_of_several_keys_are_written_once(tmp_path):
    source = dynunet()
    path = write_for("nnunet", source, tmp_path / "genesis.pth")
    assert path.stat().st_size < 1.5 * write_weights(tmp_path / "model.pt", source).stat().st_size


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"res_block": True}, "no network with DynUNet's residual blocks.*network_resenc"),
        ({"norm_name": "batch"}, "norm_name is batch: pretrain with norm_name"),
        ({"norm_name": ("group", {"num_groups": 2})}, "norm_name is .*group"),
        ({"norm_name": "instance"}, "norm_name is instance"),
        ({"act_name": "relu"}, "act_name is relu: pretrain with act_name"),
        ({"act_name": ("leakyrelu", {"negative_slope": 0.2})}, "act_name is .*0.2"),
        ({"last_stride": (4, 2, 2), "kernels": (3, 3, 3, (5, 3, 3))}, "strides is .*4, 2, 2"),
        ({"kernels": (3, 3, (3, 3, 1), 3)}, "With several kernel sizes, only the encoder can be written"),
    ],
)
def test_what_nnunet_does_not_compute_is_refused(tmp_path, arguments, reason):
    with pytest.raises(TargetError, match=reason):
        write_for("nnunet", dynunet(**arguments), tmp_path / "genesis.pth")
    assert not (tmp_path / "genesis.pth").exists()


@pytest.mark.parametrize("arguments", [{"res_block": True}, {"norm_name": "batch"}])
def test_a_file_tells_it_by_its_tensors(tmp_path, arguments):
    write_weights(tmp_path / "model.pt", dynunet(**arguments))
    with pytest.raises(TargetError, match="nnU-Net"):
        convert(tmp_path / "model.pt", "nnunet", tmp_path / "genesis.pth")


def test_a_file_is_converted_with_a_report_of_every_tensor(tmp_path):
    source = dynunet()
    write_weights(tmp_path / "model.pt", source, preprocessing=AS_IT_IS)
    report = convert(tmp_path / "model.pt", "nnunet", tmp_path / "converted.pth")
    assert {entry.outcome for entry in report.tensors} == {"loaded"}
    without_bias = sum(parameter.dim() == 5 for parameter in source.parameters()) - 1  # all convolutions but the head
    assert len(report.tensors) == len(list(source.parameters())) + without_bias
    write_for("nnunet", source, tmp_path / "written.pth", preprocessing=AS_IT_IS)
    converted, written = (
        read_checkpoint(tmp_path / name)["network_weights"] for name in ("converted.pth", "written.pth")
    )
    assert converted.keys() == written.keys()
    assert all(torch.equal(converted[key], written[key]) for key in written)


def test_more_input_channels_than_in_pretraining(tmp_path):
    """The response to an image that is the same in each channel stays as it was."""
    source = dynunet()
    write_weights(tmp_path / "model.pt", source, preprocessing=AS_IT_IS)
    report = convert(tmp_path / "model.pt", "nnunet", tmp_path / "genesis.pth", in_channels=3)
    assert [entry.key for entry in report.tensors if entry.outcome == "adapted"] == [
        "encoder.stages.0.0.convs.0.conv.weight"
    ]
    target = as_nnunet_loads(plain_conv_unet(last_stride=(2, 2, 1), in_channels=3), tmp_path / "genesis.pth")
    image = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        assert torch.allclose(target(image.expand(-1, 3, -1, -1, -1)), source(image), atol=1e-4)


@pytest.mark.parametrize("configuration", ["3d_fullres", "3d_cascade_fullres"])
def test_plans_name_the_network_that_is_filled(tmp_path, configuration):
    source = dynunet()
    write_weights(tmp_path / "model.pt", source)
    plans = write_plans(tmp_path / "nnUNetPlans.json")
    report = convert(tmp_path / "model.pt", "nnunet", tmp_path / "g.pth", plans=plans, configuration=configuration)
    assert report.counts()["encoder"].keys() == report.counts()["decoder"].keys() == {"loaded"}
    image = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        output = as_nnunet_loads(plain_conv_unet(), tmp_path / "g.pth")(image.permute(0, 1, 4, 3, 2))
        assert torch.allclose(output.permute(0, 1, 4, 3, 2), source(image), atol=1e-4)
    assert "decoder.seg_layers.0.weight" not in read_checkpoint(tmp_path / "g.pth")["network_weights"]  # no such head


def test_with_plans_of_several_kernels_the_encoder_goes_over(tmp_path):
    write_weights(tmp_path / "model.pt", dynunet(kernels=(3, 3, (3, 3, 1), 3)))
    plans = write_plans(tmp_path / "nnUNetPlans.json", kernels=[3, 3, [1, 3, 3], 3])
    report = convert(tmp_path / "model.pt", "nnunet", tmp_path / "genesis.pth", plans=plans, in_channels=2)
    assert report.counts()["encoder"].keys() == {"loaded", "adapted"}
    assert report.counts()["decoder"]["initial"]["tensors"] == 4
    as_nnunet_loads(plain_conv_unet(kernels=[3, 3, [1, 3, 3], 3], in_channels=2), tmp_path / "genesis.pth")


def test_plans_of_another_network_are_refused_before_anything_is_written(tmp_path):
    write_weights(tmp_path / "model.pt", dynunet())
    plans = write_plans(tmp_path / "nnUNetPlans.json", kernels=[3, 3, [1, 3, 3], 3])
    with pytest.raises(TransferError, match=r"required tensors.*another shape.*weights_out\.md says how to pretrain"):
        convert(tmp_path / "model.pt", "nnunet", tmp_path / "genesis.pth", plans=plans)
    assert not (tmp_path / "genesis.pth").exists()


def test_plans_that_cannot_be_used_are_refused(tmp_path):
    write_weights(tmp_path / "model.pt", dynunet())
    good = write_plans(tmp_path / "good.json")
    other = write_plans(tmp_path / "other.json", class_name="PrimusM")
    (tmp_path / "broken.json").write_text("{}")
    for settings, reason in [
        ({"plans": tmp_path / "none.json"}, "none.json: not a plans file of nnU-Net"),
        ({"plans": tmp_path / "broken.json"}, "broken.json: not a plans file of nnU-Net"),
        ({"plans": other}, "3d_fullres plans a PrimusM"),
        ({"plans": good, "configuration": "3d_lowres"}, "no configuration 3d_lowres.*3d_fullres, 3d_cascade_fullres"),
    ]:
        with pytest.raises(TargetError, match=reason):
            convert(tmp_path / "model.pt", "nnunet", tmp_path / "genesis.pth", **settings)
    with pytest.raises(TargetError, match="only the target nnunet uses plans, found the target dynunet"):
        convert(tmp_path / "model.pt", "dynunet", tmp_path / "genesis.pth", plans=good)


def test_from_pretraining_with_the_overlay_to_nnunet(phantoms, tmp_path):
    settings = {name: value for name, value in TINY.items() if name != "network_def::features"} | {
        "network_def::n_stages": 3,
        "network_def::features_per_stage": [4, 8, 8],
        "network_def::strides": [1, 2, 2],
        "network_def::n_blocks_per_stage": 1,
        "dataset_dir": phantoms / "images",
        "output_dir": tmp_path,
        "max_epochs": 1,
        "learning_rate": 1e-3,
    }
    files = ["configs/pretrain.yaml", "configs/network_resenc.yaml", "configs/optimizer_adamw.yaml"]
    run_here("run", "training", "--config_file", str(files), *arguments(**settings))
    report = convert(tmp_path / "checkpoints" / "model.pt", "nnunet", tmp_path / "genesis.pth")
    assert {part: set(outcomes) for part, outcomes in report.counts().items()} == {
        "encoder": {"loaded"},
        "decoder": {"loaded"},
        "head": {"loaded"},
    }


@pytest.mark.parametrize("build", [plain_conv_unet, residual_unet])
def test_parts_of_nnunets_networks(build):
    network = build()
    parts = key_parts(network.state_dict())
    encoder, head = network.encoder.state_dict(), network.decoder.seg_layers.state_dict()
    assert set(parts["encoder"]) == {f"{start}encoder.{key}" for key in encoder for start in ("", "decoder.")}
    assert set(parts["head"]) == {f"decoder.seg_layers.{key}" for key in head}
    assert sum(map(len, parts.values())) == len(network.state_dict())
