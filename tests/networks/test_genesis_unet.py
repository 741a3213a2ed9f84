import json

import numpy as np
import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from published_files import PublishedUNet

SMALL = (4, 8, 16)


def test_defaults_are_the_published_architecture():
    with torch.device("meta"):
        network, published = GenesisUNet(), PublishedUNet()
    shapes = [[value.shape for value in one.state_dict().values()] for one in (network, published)]
    assert shapes[0] == shapes[1]
    assert len(network.state_dict()) == 106
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == 19.07


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("upsample", ["deconv", "nearest"])
def test_shapes_range_and_pyramid(dims, upsample):
    network = GenesisUNet(dims, 2, 3, SMALL, upsample=upsample).eval()
    image = torch.rand(2, 2, *(8, 12, 16)[:dims])
    output = network(image)
    assert output.shape == (2, 3, *image.shape[2:])
    assert 0 < output.min() < output.max() < 1
    pyramid = network.encode(image)
    assert [level.shape[1] for level in pyramid] == list(SMALL)
    assert [level.shape[2] for level in pyramid] == [8, 4, 2]


def test_published_evaluation_uses_the_batch():
    torch.manual_seed(0)
    image = torch.rand(2, 1, 8, 8, 8) * 5
    published = GenesisUNet(features=SMALL, norm=("batch", {"track_running_stats": False}))
    assert torch.equal(published.train()(image), published.eval()(image))
    default = GenesisUNet(features=SMALL)
    assert not torch.allclose(default.train()(image), default.eval()(image), atol=1e-4)


def test_rebuilt_from_its_config():
    network = GenesisUNet(
        2, 1, 4, SMALL, norm=("instance", {"affine": True}), upsample="nearest", output_activation="softmax"
    )
    config = json.loads(json.dumps(network.config()))
    twin = GenesisUNet(**config)
    assert twin.config() == network.config()
    twin.load_state_dict(network.state_dict())
    image = torch.rand(1, 1, 8, 8)
    assert torch.equal(network(image), twin(image))
    torch.testing.assert_close(network(image).sum(dim=1), torch.ones(1, 8, 8))


def test_sides_that_cannot_be_halved_are_named():
    with pytest.raises(ValueError, match=r"divisible by 4, got the sides .*8, 10, 8"):
        GenesisUNet(features=SMALL)(torch.rand(1, 1, 8, 10, 8))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"spatial_dims": 1}, "spatial_dims"),
        ({"features": (4,)}, "two or more even widths"),
        ({"features": (4, 7)}, "even widths"),
        ({"upsample": "linear"}, "deconv, nearest"),
        ({"out_channels": 0}, "channels"),
    ],
)
def test_bad_arguments(argument, message):
    with pytest.raises(ValueError, match=message):
        GenesisUNet(**argument)


def test_scripts_to_the_same_function():
    network = GenesisUNet(features=SMALL).eval()
    scripted = torch.jit.script(network)
    image = torch.rand(1, 1, 8, 8, 8)
    torch.testing.assert_close(scripted(image), network(image))
    torch.testing.assert_close(scripted.encode(image)[-1], network.encode(image)[-1])
    with pytest.raises(Exception, match="divisible by 4"):
        scripted(torch.rand(1, 1, 6, 8, 8))


def test_exports_to_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = GenesisUNet(features=SMALL).eval()
    image = torch.rand(1, 1, 8, 8, 8)
    torch.onnx.export(network, (image,), tmp_path / "network.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(found, network(image).detach().numpy(), atol=1e-5)


def test_channels_last_and_bfloat16_stay_close():
    torch.manual_seed(0)
    network = GenesisUNet(features=SMALL).eval()
    image = torch.rand(1, 1, 16, 16, 16)
    exact = network(image)
    network.to(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(image)
    assert (rough.float() - exact).abs().max() < 0.02
