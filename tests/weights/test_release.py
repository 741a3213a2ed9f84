"""Weights in the form in which they ship."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    InitialWeights,
    load_weights,
    read_weights,
    recorded_features,
    release_weights,
    write_weights,
)
from same_state import same


@pytest.fixture
def network():
    return GenesisUNet(features=(4, 8))


@pytest.fixture
def released(network, tmp_path):
    written = write_weights(tmp_path / "run.pt", network, epoch=3)
    return release_weights(written, tmp_path / "released.pt", licence="CC-BY-4.0")


def test_the_bundle_reads_a_release(network, released):
    assert same(network, load_weights(GenesisUNet(features=(4, 8)), released))
    content = read_weights(released)
    assert (content["licence"], content["epoch"]) == ("CC-BY-4.0", 3)


def test_a_release_of_an_earlier_version_becomes_one_of_this(released, tmp_path):
    content = read_weights(released)
    torch.save({**content, "format_version": 1, **content["model"]}, tmp_path / "earlier.pt")
    again = release_weights(tmp_path / "earlier.pt", tmp_path / "again.pt", licence="CC-BY-4.0")
    found = torch.load(again, weights_only=True)
    assert found.keys() == content["model"].keys()
    assert found.records == {key: value for key, value in content.items() if key != "model"}


def test_a_configuration_finds_the_width_in_the_weights(released, tmp_path):
    assert recorded_features(read_weights(released)["network"], otherwise=[16, 32]) == [4, 8]
    assert recorded_features(InitialWeights(released).source.network, otherwise=[16, 32]) == [4, 8]
    assert recorded_features(InitialWeights("none").source.network, otherwise=[16, 32]) == [16, 32]
    bare = tmp_path / "bare.pt"
    torch.save(GenesisUNet(features=(4, 8)).state_dict(), bare)
    initial = InitialWeights(bare)
    assert recorded_features(initial.source.network, otherwise=[16, 32]) == [16, 32]
    assert initial.preprocessing is initial.record()["data"] is None
