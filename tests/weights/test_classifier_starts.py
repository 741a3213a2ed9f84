"""Classifiers that start from the encoders of MONAI's networks, by the key maps that docs/how-to/classification.md names."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from models_genesis_bundle.networks import GenesisClassifier, encoder_of
from models_genesis_bundle.weights import InitialWeights, TransferError, write_weights
from monai.bundle import ConfigParser
from monai.networks.nets import BasicUNet, DynUNet, SegResNetDS, SwinUNETR


def basicunet():
    return BasicUNet(features=(4, 4, 4, 6, 8, 4))


def dynunet():
    return DynUNet(3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], [4, 8, 12], deep_supervision=True)


def segresnet():
    return SegResNetDS(init_filters=4, blocks_down=(1, 1, 1), norm="INSTANCE")


def swinunetr():
    pytest.importorskip("einops", reason="SwinUNETR needs einops")
    return SwinUNETR(1, 2, feature_size=12, depths=(1,) * 4, num_heads=(1,) * 4)


# What builds the network, its encoder for a classifier, the width of its deepest map, the key map.
STARTS = {
    "BasicUNet": (
        basicunet,
        lambda network: encoder_of(network, ["conv_0", "down_1", "down_2", "down_3", "down_4"]),
        8,
        {"": "encoder."},
    ),
    "DynUNet": (
        dynunet,
        lambda network: encoder_of(network, ["input_block", "downsamples", "bottleneck"]),
        12,
        {"": "encoder."},
    ),
    "SegResNetDS": (segresnet, lambda network: network.encoder, 16, None),
    "SwinUNETR": (swinunetr, lambda network: network.swinViT, 192, {"swinViT.": "encoder."}),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_whole_encoder_is_loaded(tmp_path, name):
    build, encoder, width, key_map = STARTS[name]
    source = build()
    path = write_weights(tmp_path / "model.pt", source)
    start = InitialWeights(path, ["encoder"], ["encoder"], key_map)
    classifier = start.load_into(GenesisClassifier(2, encoder(build()), hidden=8, features=width)).eval()
    counts = start.report.counts()
    assert next(iter(counts["encoder"])) == "loaded"
    assert list(counts["head"]) == ["initial", "unused"]
    cubes = torch.rand(1, 1, 64, 32, 32)
    maps, wanted = classifier.encoder(cubes), encoder(source.eval())(cubes)
    torch.testing.assert_close(maps, wanted)
    logits = classifier(cubes)
    assert logits.shape == (1, 2)
    logits.sum().backward()
    assert [key for key, parameter in classifier.named_parameters() if parameter.grad is None] == []


def test_without_the_key_map_the_error_asks_for_it(tmp_path):
    build, encoder, width, _ = STARTS["DynUNet"]
    path = write_weights(tmp_path / "model.pt", build())
    with pytest.raises(TransferError, match=r"no key is the same\. .* map the prefixes with key_map"):
        InitialWeights(path, ["encoder"], ["encoder"]).load_into(
            GenesisClassifier(2, encoder(build()), hidden=8, features=width)
        )


def test_the_docs_definition_fits_the_pretrained_overlay(root, tmp_path):
    """The YAML in docs/how-to/classification.md is the encoder of configs/network_dynunet.yaml, and its key map finds it."""
    page = (root / "docs" / "how-to" / "classification.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (key_map,) = re.findall(r"`--starting_point::key_map \"(.*?)\"`", page)
    definition = next(yaml.safe_load(block) for block in blocks if "DynUNet" in block)
    config = ConfigParser(config=ConfigParser.load_config_file(str(root / "configs" / "network_dynunet.yaml")))
    config.update({"in_channels": 1, "out_channels": 1})
    path = write_weights(tmp_path / "model.pt", config.get_parsed_content("network_def"))
    classifier = ConfigParser(config=definition).get_parsed_content("network_def")
    InitialWeights(path, ["encoder"], ["encoder"], yaml.safe_load(key_map)).load_into(classifier)
