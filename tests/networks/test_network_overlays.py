"""The overlays that put another network in the place of GenesisUNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import pytest
import torch
from bundle_commands import TINY, arguments, root_cause, run_here
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.weights import key_parts, read_weights
from monai.bundle import ConfigParser

# Millions of parameters.
PARAMETERS = {
    "segresnet": 87.2,
    "dynunet": 16.2,
    "swinunetr": 62.2,
    "basicunet": 5.7,
    "resenc": 102.4,
    "slicewise_imagenet": 5.4,
}
NARROW: dict[str, dict[str, Any]] = {
    "segresnet": {"network_def::init_filters": 8, "network_def::blocks_down": [1, 1, 1]},
    "dynunet": {"network_def::filters": [4, 4, 4, 4, 4]},
    "basicunet": {"network_def::features": [4, 4, 4, 4, 4, 4]},
    "swinunetr": {"network_def::feature_size": 12, "network_def::depths": [1, 1, 1, 1]},
}
SMALL = {name: value for name, value in TINY.items() if name not in ("network_def::features", "precision")} | {
    "cube_size": "[32,32,32]"
}


def build(root: Path, name: str, **settings: Any) -> torch.nn.Module:
    """The network of an overlay on pretraining."""
    if name == "swinunetr":
        pytest.importorskip("einops", reason="SwinUNETR needs einops")
    config = ConfigParser()
    config.read_config([root / "configs" / "pretrain.yaml", root / "configs" / f"network_{name}.yaml"])
    config.update(settings)
    return config.get_parsed_content("network_def")


def run(run_id: str, config: str, name: str, *overlays: str, **settings: Any) -> None:
    """Run a configuration with the overlay of a network, made narrow."""
    files = [f"configs/{file}.yaml" for file in (config, f"network_{name}", *overlays)]
    run_here("run", run_id, "--config_file", str(files), *arguments(precision="float32", **NARROW[name], **settings))


@pytest.fixture(scope="module", params=["segresnet", "dynunet", "basicunet"])
def pretrained_other(request, phantoms, tmp_path_factory) -> tuple[str, Path]:
    """The name of another network, and the folder of its tiny pretraining by the command that the docs recommend."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = {
        **SMALL,
        "dataset_dir": phantoms / "images",
        "output_dir": folder,
        "max_epochs": 2,
        "learning_rate": 1e-3,
    }
    run("training", "pretrain", request.param, "optimizer_adamw", **settings)
    return request.param, folder


@pytest.mark.parametrize("name", PARAMETERS)
def test_overlay_replaces_the_network(root, name):
    settings = {"network_def::pretrained": False} if name == "slicewise_imagenet" else {}
    network = build(root, name, out_channels=3, **settings).to("meta")  # shapes without the arithmetic
    assert network(torch.rand(1, 1, 64, 64, 32, device="meta")).shape == (1, 3, 64, 64, 32)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == PARAMETERS[name]
    assert all(key_parts(network.state_dict()).values())


@pytest.mark.parametrize("name", NARROW)
def test_every_weight_takes_part(root, name):
    """``DistributedDataParallel`` waits for a gradient of each."""
    network = build(root, name, **NARROW[name])
    network(torch.rand(1, 1, 64, 32, 32)).mean().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


def test_it_learns_to_restore_within_the_image_range(pretrained_other, phantoms, tmp_path):
    name, folder = pretrained_other
    lines = read_metrics(folder / "metrics.csv")
    assert lines[-1]["val_mse"] < lines[-1]["identity_mse"]
    scan = phantoms / "images" / "phantom_000.nii.gz"
    settings = {"dataset_dir": scan, "output_dir": tmp_path, "ckpt_path": folder / "checkpoints" / "model.pt"}
    run("inferring", "inference", name, cube_size=[32, 32, 32], deform=True, **settings)
    restored = nibabel.load(tmp_path / "phantom_000_restored.nii.gz").get_fdata()
    assert -1000 <= restored.min() < restored.max() <= 1000, "the sigmoid must follow, though the network has none"
    assert (tmp_path / "phantom_000_deformed.nii.gz").exists()


def test_fine_tuning_starts_from_all_of_it_but_the_head(pretrained_other, phantoms, tmp_path):
    name, folder = pretrained_other
    start = folder / "checkpoints" / "model.pt"
    settings = {"dataset_dir": phantoms, "label_names": ["lung", "nodule"], "patch_size": [32, 32, 32], "max_epochs": 1}
    run("training", "finetune_segmentation", name, output_dir=tmp_path, initial_weights=start, **settings)
    began = read_weights(tmp_path / "checkpoints" / "model.pt")["initial_weights"]
    assert began["data"] == read_weights(start)["data"]
    assert {part: list(outcomes) for part, outcomes in began["transfer"].items()} == {
        "encoder": ["loaded"],
        "decoder": ["loaded"],
        "head": ["initial"],
    }


def test_a_cube_that_does_not_fit_ends_the_run_before_it_writes(phantoms, tmp_path):
    settings = SMALL | {"dataset_dir": phantoms / "images", "output_dir": tmp_path / "never", "cube_size": [32, 30, 32]}
    with pytest.raises(RuntimeError) as raised:
        run("training", "pretrain", "segresnet", **settings)
    assert "divisible by 4 fit: `--cube_size '[32, 32, 32]'`" in str(root_cause(raised.value))
    assert not (tmp_path / "never").exists()
