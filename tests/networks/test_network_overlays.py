"""The overlays that put another network in the place of GenesisUNet."""

import pytest
import torch
from monai.bundle import ConfigParser

from models_genesis_bundle.weights import key_parts

PARAMETERS = {"segresnet": 87.2, "dynunet": 16.2, "swinunetr": 62.2, "slicewise_imagenet": 5.4}  # millions


@pytest.mark.parametrize("name", PARAMETERS)
def test_overlay_replaces_the_network(root, name):
    if name == "swinunetr":
        pytest.importorskip("einops", reason="SwinUNETR needs einops")
    config = ConfigParser()
    config.read_config([root / "configs" / "pretrain.yaml", root / "configs" / f"network_{name}.yaml"])
    config["out_channels"] = 3
    if name == "slicewise_imagenet":
        config["network_def::pretrained"] = False
    network = config.get_parsed_content("network_def").to("meta")  # shapes without the arithmetic
    assert network(torch.rand(1, 1, 64, 64, 32, device="meta")).shape == (1, 3, 64, 64, 32)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == PARAMETERS[name]
    assert all(key_parts(network.state_dict()).values())
