import re
from urllib.error import URLError

import pytest
import torch
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.networks import ImageNetWeightsError, SlicewiseUNet
from models_genesis_bundle.weights import key_parts
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.efficientnet import url_map

FILE = url_map["efficientnet-b0"].rsplit("/", 1)[-1]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SlicewiseUNet(out_channels=3, pretrained=False).eval()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache where torch looks for weights, on a machine without network."""

    def no_network(*arguments, **settings):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def put(cache, monkeypatch):
    """Puts a state dict into the cache as the file of EfficientNet-B0, whose name tells the beginning of its SHA-256."""

    def write(state):
        torch.save(state, cache / "new")
        name = f"efficientnet-b0-{file_sha256(cache / 'new')[:8]}.pth"
        monkeypatch.setitem(url_map, "efficientnet-b0", f"https://example.org/{name}")
        return (cache / "new").rename(cache / name)

    return write


def published_layout(unet):
    """A FlexibleUNet's encoder as the published file has it: blocks are numbered through all stages."""
    state = {key: value for key, value in unet.encoder.state_dict().items() if value.is_floating_point()}
    return {re.sub(r"_blocks\.\d+\.", "_blocks.", key): torch.rand_like(value) for key, value in state.items()}


def test_each_slice_is_segmented_as_flexible_unet_would(network):
    unet = FlexibleUNet(3, 3, "efficientnet-b0").eval()
    unet.encoder.load_state_dict(network.encoder.state_dict(), strict=False)
    unet.decoder.load_state_dict(network.decoder.state_dict())
    unet.segmentation_head.load_state_dict(network.head.state_dict())
    volume = torch.rand(2, 1, 32, 48, 3)
    output = network(volume)
    assert output.shape == (2, 3, 32, 48, 3)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for item in range(2):
        for z in range(3):
            coloured = (volume[item, :, :, :, z].repeat(3, 1, 1) - mean) / deviation
            torch.testing.assert_close(output[item, ..., z], unet(coloured[None])[0], rtol=1e-3, atol=1e-4)


def test_colours_are_taken_as_they_are(network):
    colours = SlicewiseUNet(in_channels=3, out_channels=3, pretrained=False).eval()
    colours.load_state_dict(network.state_dict())
    grey = torch.rand(1, 1, 32, 32, 2)
    torch.testing.assert_close(colours(grey.repeat(1, 3, 1, 1, 1)), network(grey))


def test_every_parameter_learns_and_has_a_part(network):
    twin = SlicewiseUNet(**network.config(), pretrained=False)
    twin(torch.rand(1, 1, 32, 32, 2)).square().sum().backward()
    assert [name for name, parameter in twin.named_parameters() if parameter.grad is None] == []
    parts = key_parts(twin.state_dict())
    assert set(parts["head"]) == {"head.0.weight", "head.0.bias"}
    assert twin.state_dict().keys() == network.state_dict().keys()


def test_weights_in_the_cache_are_loaded_as_monai_loads_them(put):
    published = published_layout(FlexibleUNet(3, 1, "efficientnet-b0"))
    path = put(published)
    own = SlicewiseUNet(pretrained=True).encoder.state_dict()
    monai = FlexibleUNet(3, 2, "efficientnet-b0", pretrained=True).encoder.state_dict()
    assert torch.equal(own["_conv_stem.weight"], published["_conv_stem.weight"])
    assert all(torch.equal(value, monai[key]) for key, value in own.items())
    content = bytearray(path.read_bytes())
    content[content.index(published["_conv_stem.weight"].numpy().tobytes()) + 5] ^= 4
    path.write_bytes(content)
    with pytest.raises(ImageNetWeightsError, match=r"\.pth: .* the file is damaged: remove it"):
        SlicewiseUNet()


def test_without_network_the_error_says_where_to_put_the_file(cache):
    with pytest.raises(ImageNetWeightsError) as error:
        SlicewiseUNet()
    assert str(cache / FILE) in str(error.value)
    assert url_map["efficientnet-b0"] in str(error.value)
    assert "no network" in str(error.value)


def test_a_file_of_another_network_is_refused(put):
    published = published_layout(FlexibleUNet(3, 1, "efficientnet-b0"))
    del published["_blocks.3._bn1.weight"]
    published["_conv_stem.weight"] = torch.zeros(1)
    put(published)
    with pytest.raises(ImageNetWeightsError, match=r"2 of 304 tensors are missing .* first _conv_stem\.weight"):
        SlicewiseUNet()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_to_be_removed(cache, content):
    (cache / FILE).write_bytes(content)
    with pytest.raises(ImageNetWeightsError, match=r"355c32eb\.pth: .* the file is damaged: remove it"):
        SlicewiseUNet()


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 1, 33, 32, 4), (1, 1, 32, 30, 4)])
def test_other_inputs_are_named(network, shape):
    with pytest.raises(ValueError, match=rf"even and at least 32, got the shape {re.escape(str(shape))}"):
        network(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 2}, "in_channels must be 1 .grey. or 3 .colours., got 2"),
        ({"backbone": "resnet18"}, "backbone must be one of efficientnet-b0, .*, got 'resnet18'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SlicewiseUNet(pretrained=False, **arguments)
