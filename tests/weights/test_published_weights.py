"""Published files come in as networks that answer as the published ones do; the files here are small ones of their layouts."""

import logging
import re
import sys

import numpy as np
import pytest
import torch
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    InitialWeights,
    TransferError,
    load_published,
    published_records,
    read_checkpoint,
    transfer_weights,
    write_checkpoint,
    write_weights,
)
from models_genesis_bundle.weights.published import FILES as FILES_BY_NAME
from models_genesis_bundle.weights.published import translated
from published_files import WRITERS, PublishedUNet, write_keras_unet, write_nnunet, write_pytorch_unet
from same_state import same

FILES = tuple(WRITERS)
PYTORCH, KERAS, NNUNET = FILES
WIDTHS = (4, 8, 16, 32)  # of the small files


@pytest.fixture(params=FILES)
def published(request, tmp_path):
    """The path of a small file of each layout, and the layout's name."""
    if request.param == KERAS:
        pytest.importorskip("h5py")
    WRITERS[request.param](tmp_path / request.param)
    return tmp_path / request.param, request.param


# --- The same answers: in double precision, where 1e-9 tells a wrong epsilon or axis from rounding ---


def assert_same(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_pytorch_network_answers_as_published(tmp_path, batch):
    """The output of a cube depends on its batch, because the network uses batch statistics also in evaluation."""
    reference = write_pytorch_unet(tmp_path / PYTORCH).double()
    network = load_published(tmp_path / PYTORCH).double()
    assert not network.training
    image = torch.rand(batch, 1, 16, 24, 8, dtype=torch.float64)
    with torch.no_grad():
        assert_same(network(image), reference(image))
        assert batch == 1 or not torch.allclose(network(image)[:1], network(image[:1]), atol=1e-3)


@pytest.mark.parametrize("form", [{}, {"whole_model": True}, {"scope_suffix": "_1"}], ids=["weights", "model", "again"])
def test_the_keras_network_answers_as_published(tmp_path, form):
    pytest.importorskip("h5py")
    reference = write_keras_unet(tmp_path / KERAS, **form)
    network = load_published(tmp_path / KERAS).double()
    assert not network.training
    image = np.random.default_rng(0).random((2, 1, 8, 16, 24))
    with torch.no_grad():
        assert_same(network(torch.from_numpy(image)), torch.from_numpy(reference(image)))


def test_the_nnunet_variant_answers_as_published(tmp_path):
    """Its axes are (Z, Y, X): one pooling leaves Z."""
    reference = write_nnunet(tmp_path / NNUNET).double()
    network = load_published(tmp_path / NNUNET).double()
    assert not network.training
    image = torch.randn(1, 1, 32, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        assert_same(network(image), reference(image)[0])


def test_heads_of_deep_supervision_go_where_a_network_has_them(tmp_path):
    from monai.networks.nets import DynUNet

    reference = write_nnunet(tmp_path / NNUNET).double()
    strides = [[1, 1, 1], *[[2, 2, 2]] * 4, [1, 2, 2]]
    network = DynUNet(
        3, 1, 2, [3] * 6, strides, strides[1:], [2, 4, 8, 16, 20, 20], deep_supervision=True, deep_supr_num=4,
        norm_name=("INSTANCE", {"affine": True}),
    )  # fmt: skip
    transfer_weights(network, tmp_path / NNUNET, parts="all", require="all")
    seen = []
    for head in (network.output_block, *network.deep_supervision_heads):
        head.register_forward_hook(lambda module, inputs, output: seen.append(output))
    image = torch.randn(1, 1, 32, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        network.double().train()(image)
        wanted = reference(image)
    found = {output.shape: output for output in seen}
    assert len(found) == len(wanted) == 5
    for output in wanted:
        assert_same(found[output.shape], output)


def test_every_tensor_of_the_published_file_has_its_place_in_the_default_network():
    """Keys and shapes of the real file, which is 19 M parameters in 106 tensors."""
    with torch.device("meta"):
        published, network = PublishedUNet(), GenesisUNet()
    layout, own = translated(published.state_dict(), {})
    assert PYTORCH in layout.files
    shapes = {key: value.shape for key, value in own.state.items()}
    assert shapes == {key: value.shape for key, value in network.state_dict().items()}
    assert own.arguments["features"] == [64, 128, 256, 512]


# --- What is recorded ---


def test_a_file_under_any_name_is_written_in_our_own_format_with_its_records(published, tmp_path):
    path, name = published
    path = path.rename(tmp_path / "weights.bin")
    network, records = load_published(path), published_records(path)
    intensity = IntensityScaling("zscore", mean=-775.8457, std=251.9326) if name == NNUNET else IntensityScaling()
    orientation = "SPL" if name == NNUNET else "LPS"
    assert records["preprocessing"] == ScanPreprocessing(intensity=intensity, orientation=orientation).record()
    assert records["data"] == FILES_BY_NAME[name].record()
    assert "non-commercial" in records["data"]["licence"]
    again = InitialWeights(write_weights(tmp_path / "own.pt", network, **records), parts="all", require="all")
    other = again.load_into(load_published(path))
    assert same(network, other)
    assert {"preprocessing": again.preprocessing, "data": again.record()["data"]} == records


# --- Into another network ---


def test_the_default_network_takes_the_running_statistics_that_are_in_the_file(tmp_path, caplog):
    reference = write_pytorch_unet(tmp_path / PYTORCH)
    network = GenesisUNet(features=WIDTHS, out_channels=3)
    initial = InitialWeights(tmp_path / PYTORCH)
    with caplog.at_level(logging.INFO):
        initial.load_into(network)
    running = network.state_dict()["encoder.stages.3.1.norm.running_var"]
    assert torch.equal(running, reference.state_dict()["down_tr512.ops.1.bn1.running_var"])
    title = "(the prefix 'module.' taken off its keys, recognised as Models Genesis' PyTorch U-Net):"
    assert title in caplog.text
    counts = initial.report.counts()
    assert {part: set(outcomes) for part, outcomes in counts.items()} == {
        "encoder": {"loaded"},
        "decoder": {"loaded"},
        "head": {"initial", "unused"} & set(counts["head"]),
    }
    assert initial.report.to_dict()["recognised"] == "Models Genesis' PyTorch U-Net"


def test_what_instance_normalisation_takes_off_and_other_heads_are_reported_unused(tmp_path):
    write_nnunet(tmp_path / NNUNET)
    network = load_published(tmp_path / NNUNET)
    report = transfer_weights(network, tmp_path / NNUNET, parts="all", require="all")
    unused = [entry.key for entry in report.tensors if entry.outcome == "unused"]
    biases = [key for key in unused if re.fullmatch(r".*\.conv\d\.conv\.bias", key)]
    assert len(biases) == 22
    assert set(unused) - set(biases) == {
        f"deep_supervision_heads.{number}.conv.conv.{of}" for number in range(4) for of in ("weight", "bias")
    }


def test_a_bare_state_dict_and_a_mapping_are_recognised_too(tmp_path):
    reference = write_pytorch_unet(tmp_path / PYTORCH)
    for source in (reference.state_dict(), {"model": reference.state_dict()}):
        report = transfer_weights(GenesisUNet(features=WIDTHS), source, parts="all", require="all")
        assert report.counts()["encoder"].keys() == {"loaded"}


# --- What is refused ---


@pytest.mark.parametrize("arguments", [{"inputs": 2}, {"outputs": 4}])
def test_other_networks_of_nnunet_are_not_taken_for_the_published_one(tmp_path, arguments):
    write_nnunet(tmp_path / "own.model", **arguments)
    with pytest.raises(CheckpointError, match="not one of the known published"):
        published_records(tmp_path / "own.model")


def test_a_missing_tensor_is_named(tmp_path):
    write_pytorch_unet(tmp_path / "whole.pt")
    content = read_checkpoint(tmp_path / "whole.pt")
    del content["state_dict"]["module.up_tr64.up_conv.bias"]
    write_checkpoint(content, tmp_path / "part.pt")
    with pytest.raises(TransferError, match=r"part\.pt: 1 of .* decoder\.stages\.2\.up\.bias: not in the file"):
        load_published(tmp_path / "part.pt")


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / KERAS).write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r"pip install models-genesis-bundle\[keras\]"):
        load_published(tmp_path / KERAS)


def test_a_keras_file_of_another_byte_order_is_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / KERAS, "w") as file:
        file["depth_0_conv/kernel"] = np.zeros(3, ">f4")
    with pytest.raises(CheckpointError, match=r"Genesis_Chest_CT\.h5: the HDF5 file .* byte order"):
        load_published(tmp_path / KERAS)


def test_a_truncated_keras_file_is_named(tmp_path):
    pytest.importorskip("h5py")
    write_keras_unet(tmp_path / KERAS)
    whole = (tmp_path / KERAS).read_bytes()
    (tmp_path / KERAS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"Genesis_Chest_CT\.h5: the HDF5 file is truncated or damaged"):
        load_published(tmp_path / KERAS)
