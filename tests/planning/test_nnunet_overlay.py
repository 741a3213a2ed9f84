"""nnU-Net's plans give an overlay, a pretraining, and weights of which nnU-Net loads every tensor."""

import json
import runpy

import pytest
import torch
import yaml
from bundle_commands import ROOT, TINY, arguments, run_here
from models_genesis_bundle.data import IntensityScaling
from models_genesis_bundle.planning import settings_from_plans
from models_genesis_bundle.weights import CheckpointError, TargetError, convert, load_weights, read_checkpoint
from models_genesis_bundle.weights.targets.nnunet import network_of_plans, read_plans
from monai.bundle import ConfigParser

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet", reason="needs dynamic-network-architectures"
)

CT = {"mean": 40.0, "std": 250.0, "percentile_00_5": -900.0, "percentile_99_5": 700.0, "min": -1000.0, "max": 1000.0}


def write_plans(path, residual=False, axes=(1, 0, 2), scheme="CTNormalization", **changes):
    """Plans as nnU-Net writes them, of arrays (Y, Z, X) by default; each axis has a stride or a side of its own."""
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet."
        + ("ResidualEncoderUNet" if residual else "PlainConvUNet"),
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 6, 8],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 1, 3], [3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [2, 1, 2], [1, 2, 2]],
            **({"n_blocks_per_stage": [1, 2, 1]} if residual else {"n_conv_per_stage": [2, 2, 1]}),
            "n_conv_per_stage_decoder": [1, 2],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
            **changes,
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    fullres = {
        "batch_size": 2,
        "patch_size": [24, 16, 32],
        "spacing": [7.0, 6.0, 5.0],
        "normalization_schemes": [scheme],
        "use_mask_for_norm": [True],
        "architecture": architecture,
    }
    flat = {**fullres, "patch_size": [24, 32], "spacing": [7.0, 5.0]}
    plans = {
        "transpose_forward": axes,
        "original_median_spacing_after_transp": [6.0, 7.0, 5.0],
        "foreground_intensity_properties_per_channel": {"0": CT},
        "configurations": {"2d": flat, "3d_fullres": fullres, "3d_cascade_fullres": {"inherits_from": "3d_fullres"}},
    }
    path.write_text(json.dumps(plans))
    return path


def settings(*args, **kwargs):
    return {setting.name: setting.value for setting in settings_from_plans(*args, **kwargs)}


@pytest.mark.parametrize("configuration", ["3d_fullres", "3d_cascade_fullres"])
def test_lists_of_axes_are_turned_to_x_y_z(tmp_path, configuration):
    found = settings(write_plans(tmp_path / "nnUNetPlans.json"), configuration)
    assert found["cube_size"] == [32, 24, 16]
    assert found["scan_preprocessing::spacing"] == [5, 7, 6]
    assert found["network_def"]["kernel_sizes"][0] == [3, 3, 1]
    assert found["network_def"]["strides"] == [[1, 1, 1], [2, 2, 1], [2, 1, 2]]


def test_slices_are_axial(tmp_path):
    found = settings(
        write_plans(tmp_path / "nnUNetPlans.json", axes=(0, 1, 2), kernel_sizes=3, strides=[1, 2, 2]), "2d"
    )
    assert found["cube_size"] == [32, 24]
    assert found["scan_preprocessing::spacing"] == [5, 7, 6]
    with pytest.raises(TargetError, match="other slices than axial ones"):
        settings(write_plans(tmp_path / "nnUNetPlans.json"), "2d")


@pytest.mark.parametrize("residual", [False, True])
def test_nnunet_takes_every_tensor_of_a_pretraining_with_the_overlay(phantoms, tmp_path, residual, capsys):
    plans, overlay = write_plans(tmp_path / "nnUNetPlans.json", residual), tmp_path / "overlay.yaml"
    script = runpy.run_path(str(ROOT / "scripts" / "overlay_from_plans.py"))["overlay_from_plans"]
    script(str(plans), str(overlay))
    assert f"['configs/pretrain.yaml','{overlay}'" in capsys.readouterr().out
    small = {name: value for name, value in TINY.items() if name not in ("network_def::features", "cube_size")}
    small |= {"cubes_per_scan": 1, "max_epochs": 1, "dataset_dir": phantoms / "images", "output_dir": tmp_path / "run"}
    files = ["configs/pretrain.yaml", str(overlay), "configs/optimizer_adamw.yaml"]
    run_here("run", "training", "--config_file", str(files), *arguments(**small))

    weights = tmp_path / "run" / "checkpoints" / "model.pt"
    report = convert(weights, "nnunet", tmp_path / "genesis.pth", plans=plans)
    assert {outcome for outcomes in report.counts().values() for outcome in outcomes} == {"loaded"}
    target = network_of_plans(read_plans(plans), in_channels=1, out_channels=1).eval()
    target.load_state_dict(read_checkpoint(tmp_path / "genesis.pth")["network_weights"])

    config = ConfigParser(
        {**yaml.safe_load(overlay.read_text()), "imports": ["$import torch"], "in_channels": 1, "out_channels": 1}
    )
    source = load_weights(config.get_parsed_content("network_def"), weights).eval()
    image = torch.rand(1, 1, 32, 24, 16)
    with torch.no_grad():
        output = target(image.permute(0, 1, 3, 4, 2))  # X, Y, Z as Y, Z, X
        assert torch.allclose(output.permute(0, 1, 4, 2, 3), source(image), atol=1e-4)


@pytest.mark.parametrize(
    ("scheme", "scaling"),
    [
        ("CTNormalization", IntensityScaling("zscore", mean=40, std=250, lower=-900, upper=700)),
        ("ZScoreNormalization", IntensityScaling("zscore")),
        ("RescaleTo01Normalization", IntensityScaling("percentile", lower=0, upper=100)),
        ("RGBTo01Normalization", IntensityScaling("window", lower=0, upper=255)),
    ],
)
def test_intensities_are_nnunets(tmp_path, scheme, scaling):
    found = settings(write_plans(tmp_path / "nnUNetPlans.json", scheme=scheme))
    assert ConfigParser(found["scan_preprocessing::intensity"]).get_parsed_content("") == scaling


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_stages": "$print(1)"}, r"arch_kwargs.n_stages holds '\$print\(1\)', which MONAI would run"),
        ({"norm_op_kwargs": {"eps": ["@loss"]}}, "norm_op_kwargs.eps.0 holds '@loss'"),
        ({"nonlin": "os.system"}, "nonlin is 'os.system'; expected a class of torch.nn"),
        ({"scheme": "NoNormalization"}, "normalisation NoNormalization; pretraining supports CTNormalization"),
    ],
)
def test_what_pretraining_cannot_do_is_refused(tmp_path, changes, reason):
    with pytest.raises(CheckpointError, match=reason):
        settings(write_plans(tmp_path / "nnUNetPlans.json", **changes))


def test_other_plans_and_channels_are_refused(tmp_path):
    plans = write_plans(tmp_path / "nnUNetPlans.json")
    with pytest.raises(TargetError, match="no channel 1; the plans have 1, counted from 0"):
        settings(plans, channel=1)
    content = json.loads(plans.read_text())
    del content["configurations"]["3d_fullres"]["architecture"]
    plans.write_text(json.dumps(content))
    with pytest.raises(TargetError, match=r"no architecture for 3d_fullres.*Plan again"):
        settings(plans)
