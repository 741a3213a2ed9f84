"""scripts/convert_weights.py, as a user calls it."""

import runpy
import sys

import pytest
import torch
from bundle_commands import ROOT
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    TargetError,
    convert,
    load_published,
    load_weights,
    read_checkpoint,
    read_weights,
    write_weights,
)
from monai.networks.nets import DynUNet
from published_files import write_nnunet, write_pytorch_unet


@pytest.fixture
def run(monkeypatch):
    """Runs the script with the given words; a failure raises a SystemExit with the exit code or the message."""

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["convert_weights.py", *map(str, words)])
        runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"), run_name="__main__")

    return start


@pytest.fixture
def dynunet_file(tmp_path):
    network = DynUNet(3, 1, 1, [3] * 3, [1, 2, 2], [2, 2], [4, 8, 8])
    return write_weights(tmp_path / "model.pt", network)


def test_options_reach_the_target(run, dynunet_file, tmp_path):
    words = ("--to", "nnssl", "--output", tmp_path / "out.pth", "--in_channels", 2, "--patch_size", "[32,64,64]")
    run("--source", dynunet_file, *words)
    plan = read_checkpoint(tmp_path / "out.pth")["nnssl_adaptation_plan"]
    assert (plan["pretrain_num_input_channels"], plan["recommended_downstream_patchsize"]) == (2, [32, 64, 64])


def test_a_published_file_becomes_one_of_this_bundle(run, tmp_path):
    write_pytorch_unet(tmp_path / "published.pt")
    run("--source", tmp_path / "published.pt", "--to", "bundle", "--output", tmp_path / "model.pt")
    content, published = read_weights(tmp_path / "model.pt"), load_published(tmp_path / "published.pt")
    assert content["preprocessing"]["intensity"]["mode"] == "window"
    assert "non-commercial" in str(content["data"])
    network = load_weights(GenesisUNet(**content["network"]["arguments"]), tmp_path / "model.pt").eval()
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(image), published(image))


def test_the_published_nnunet_keeps_its_axes(run, tmp_path):
    """It was trained in nnU-Net, whose arrays are (Z, Y, X) already."""
    write_nnunet(tmp_path / "published.model")
    run("--source", tmp_path / "published.model", "--to", "nnunet", "--output", tmp_path / "out.pth")
    weights = read_checkpoint(tmp_path / "out.pth")["network_weights"]
    source = load_published(tmp_path / "published.model")
    assert torch.equal(weights["encoder.stages.1.0.convs.1.conv.weight"], source.downsamples[0].conv2.conv.weight)


@pytest.mark.parametrize(
    ("write", "target", "reason"),
    [
        (None, "segresnet", "not of DynUNet. Pretrain a SegResNetDS"),
        (None, "nnunett", "Choose from segresnet"),
        (None, "bundle", "not one of the known published files"),
        (lambda path: torch.save(torch.nn.Linear(1, 1).state_dict(), path), "nnunet", "Cannot identify encoder"),
    ],
)
def test_what_a_file_cannot_become_ends_with_the_reason(run, dynunet_file, tmp_path, write, target, reason):
    if write is not None:
        write(dynunet_file)
    with pytest.raises(SystemExit, match=reason):
        run("--source", dynunet_file, "--to", target, "--output", tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "nnunet", "patch_size": [8, 8, 8]}, "nnunet: this target has no option, found patch_size"),
        ({"target": "nnssl", "patchsize": 8}, "nnssl: this target has no option but patch_size, found patchsize"),
        ({"target": "nnssl", "patch_size": 64}, r"patch_size: expected three sides .*, found 64"),
        ({"target": "nnssl", "patch_size": ["a", 8, 8]}, r"patch_size: expected three sides"),
        ({"target": "nnunet", "in_channels": 0}, "in_channels: expected a whole number above 0, found 0"),
        ({"target": "nnunet", "in_channels": "4"}, "in_channels: expected a whole number above 0, found '4'"),
    ],
)
def test_options_that_a_target_cannot_use_are_refused(options, message, tmp_path):
    norm, act = ("INSTANCE", {"affine": True}), ("leakyrelu", {"negative_slope": 0.01})
    network = DynUNet(3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 8], norm_name=norm, act_name=act)
    source = write_weights(tmp_path / "model.pt", network)
    with pytest.raises(TargetError, match=message):
        convert(source, path=tmp_path / "out.pth", **options)
    assert not (tmp_path / "out.pth").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"out\.pth: the checkpoint could not be written .* MiB are free in"):
        write_weights(tmp_path / "file" / "folder" / "out.pth", torch.nn.Linear(1, 1))
