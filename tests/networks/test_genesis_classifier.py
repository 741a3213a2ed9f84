import json

import pytest
import torch
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet, encoder_of
from monai.networks.nets import BasicUNet
from monai.networks.nets.segresnet_ds import SegResEncoder

SMALL = (4, 8, 16)


def test_defaults_are_the_published_encoder_and_head():
    with torch.device("meta"):
        classifier, unet = GenesisClassifier(), GenesisUNet()
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in (classifier, unet)]
    encoders = [{key: shape for key, shape in own.items() if key.startswith("encoder.")} for own in shapes]
    assert encoders[0] == encoders[1]
    head = [tuple(shape) for key, shape in shapes[0].items() if key.startswith("head.")]
    assert head == [(1024, 512), (1024,), (2, 1024), (2,)]


def test_with_the_encoder_of_a_unet_it_sees_the_same_bottleneck():
    unet, classifier = GenesisUNet(features=SMALL).eval(), GenesisClassifier(features=SMALL, hidden=8).eval()
    classifier.encoder.load_state_dict(unet.encoder.state_dict())
    image = torch.rand(2, 1, 8, 12, 8)
    pooled = unet.encode(image)[-1].mean(dim=(2, 3, 4))
    torch.testing.assert_close(classifier(image), classifier.head(pooled))


@pytest.mark.parametrize("dims", [2, 3])
def test_classes_channels_and_sides_that_no_power_of_two_divides(dims):
    network = GenesisClassifier(5, None, 8, dims, 2, SMALL, norm="instance", dropout=0.5)
    assert network(torch.rand(3, 2, *(9, 5, 4)[:dims])).shape == (3, 5)


def test_keys_of_a_taken_encoder_are_those_of_its_network():
    network = BasicUNet(features=(4, 4, 4, 6, 10, 4))
    encoder = encoder_of(network, ["conv_0", "down_1", "down_2", "down_3", "down_4"])
    assert set(encoder.state_dict()) <= set(network.state_dict())
    with pytest.raises(
        ValueError, match=r"names of modules of BasicUNet, found \['conv_1'\]\. Choose from conv_0, down_1"
    ):
        encoder_of(network, ["conv_1"])


def test_an_encoder_of_another_width_is_refused_with_both_widths():
    with pytest.raises(ValueError, match="has 32 channels, but the last value of features is 64"):
        GenesisClassifier(2, SegResEncoder(init_filters=4), features=64)(torch.rand(1, 1, 16, 16, 16))


def test_rebuilt_from_its_config():
    network = GenesisClassifier(3, None, 8, 2, 1, SMALL, norm=("instance", {"affine": True}), dropout=0.25)
    twin = GenesisClassifier(**json.loads(json.dumps(network.config())))
    assert twin.config() == network.config()
    assert {key: value.shape for key, value in twin.state_dict().items()} == {
        key: value.shape for key, value in network.state_dict().items()
    }
    assert "SegResEncoder" in GenesisClassifier(2, SegResEncoder(init_filters=4), features=32).config()["encoder"]


@pytest.mark.parametrize("make", [lambda: (None, SMALL), lambda: (SegResEncoder(init_filters=4), 32)])
def test_scripts_to_the_same_function(make):
    encoder, features = make()
    network = GenesisClassifier(2, encoder, hidden=8, features=features).eval()
    image = torch.rand(1, 1, 16, 16, 16)
    torch.testing.assert_close(torch.jit.script(network)(image), network(image))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"spatial_dims": 1}, "spatial_dims"),
        ({"num_classes": 1}, "2 or more, got 1"),
        ({"features": (4,)}, "two or more even widths"),
        ({"features": (4, 7)}, "even widths"),
        ({"hidden": 0}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_arguments(argument, message):
    with pytest.raises(ValueError, match=message):
        GenesisClassifier(**argument)


def test_a_cube_too_small_is_named():
    with pytest.raises(ValueError, match=r"must be 4 or more, got the sides .*8, 2, 8"):
        GenesisClassifier(features=SMALL)(torch.rand(1, 1, 8, 2, 8))
