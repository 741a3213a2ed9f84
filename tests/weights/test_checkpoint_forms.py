"""Checkpoints in the forms of other programs: each gives the same weights, or an error that says what the file is."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import CheckpointError, TransferError, load_weights, transfer_weights, write_weights
from safetensors.torch import save_file
from same_state import same
from torch.optim.swa_utils import AveragedModel


def tiny() -> GenesisUNet:
    return GenesisUNet(features=(4, 8))


@pytest.fixture(scope="module")
def network() -> GenesisUNet:
    torch.manual_seed(0)
    return tiny().train()


def under(prefix, network):
    return {prefix + key: value for key, value in network.state_dict().items()}


WHOLE = {
    "a state dict": lambda net: net.state_dict(),
    "PyTorch's tutorial": lambda net: {"epoch": 3, "model_state_dict": net.state_dict(), "loss": 0.5},
    "MONAI's tutorials": lambda net: {"network": net.state_dict(), "optimizer": {"state": {}, "param_groups": []}},
    "an exponential moving average": lambda net: {"ema": net.state_dict(), "epoch": 3},
    "DeepSpeed": lambda net: {"module": net.state_dict()},
    "a description of the model": lambda net: {"model": {"name": "unet"}, "state_dict": net.state_dict()},
    "Lightning": lambda net: {"state_dict": under("model.", net), "hyper_parameters": {"lr": 1e-3}},
}
WITH_OTHER_TENSORS = {
    "Lightning with a weighted loss": lambda net: {"state_dict": {**under("unet.", net), "loss.weight": torch.ones(2)}},
    "Fabric": lambda net: {"model": under("_forward_module.", net)},
    "a student and a teacher": lambda net: {"student": under("module.backbone.", net), "teacher": under("", net)},
    "torch's average": lambda net: AveragedModel(net).state_dict(),
}


@pytest.mark.parametrize("form", [*WHOLE, *WITH_OTHER_TENSORS])
def test_checkpoints_of_other_programs_are_loaded(form, network, tmp_path):
    torch.save({**WHOLE, **WITH_OTHER_TENSORS}[form](network), tmp_path / "a.pt")
    assert same(GenesisUNet.from_pretrained(tmp_path / "a.pt", features=(4, 8)), network)
    if form in WHOLE:
        assert same(load_weights(tiny(), tmp_path / "a.pt"), network)
        assert same(load_weights(tiny(), WHOLE[form](network)), network)


def test_the_report_names_the_prefix_that_was_found(network):
    report = transfer_weights(tiny(), WITH_OTHER_TENSORS["Lightning with a weighted loss"](network))
    assert report.prefix == "unet."
    assert report.counts()["network"] == {"unused": {"tensors": 1, "values": 2}}


def test_two_networks_in_one_file_need_a_key_map(network):
    both = {**under("net.", network), **{key: value + 1 for key, value in under("ema.", network).items()}}
    with pytest.raises(TransferError, match=r"Its keys begin with net\., ema\., .* map the prefixes with key_map"):
        transfer_weights(tiny(), both)
    averaged = tiny()
    transfer_weights(averaged, both, parts="all", require="all", key_map={"ema.": ""})
    assert torch.equal(averaged.head.weight, network.head.weight + 1)
    with pytest.raises(CheckpointError, match="found several: first, second"):
        transfer_weights(tiny(), {"first": network.state_dict(), "second": network.state_dict()})


def test_a_safetensors_file_is_recognised_without_its_ending(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "weights")
    assert same(load_weights(tiny(), tmp_path / "weights"), network)


@pytest.fixture
def written(tmp_path):
    def write(state):
        torch.save(state, tmp_path / "a.pt")
        return tmp_path / "a.pt"

    return write


def test_the_counters_of_batches_may_be_missing(network, written):
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    assert same(GenesisUNet.from_pretrained(written(state), features=(4, 8)), network)


NO_WEIGHTS = {
    "complex": (lambda value: value.to(torch.complex64), "conv.weight is complex"),
    "sparse": (lambda value: value.to_sparse(), "conv.weight is sparse_coo"),
    "whole": (
        lambda value: (100 * value).to(torch.int8),
        r"(whole numbers: torch\.int8 in the file|of int8, the network)",
    ),
}


@pytest.mark.parametrize("load", [GenesisUNet.from_pretrained, lambda path, **arguments: load_weights(tiny(), path)])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_tensors_of_other_kinds_are_refused(kind, load, network, written):
    change, message = NO_WEIGHTS[kind]
    state = {key: change(value) if value.dim() == 5 else value for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load(written(state), features=(4, 8))


def test_float_counters_of_an_average_are_loaded(network, written):
    state = {key: value.float() for key, value in network.state_dict().items()}
    assert same(load_weights(tiny(), written(state)), network)


def test_files_that_are_mistaken_for_checkpoints_are_named(network, tmp_path):
    torch.jit.script(network).save(tmp_path / "program.pt")
    (tmp_path / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (tmp_path / "page.pt").write_text("\n<!DOCTYPE html><html>Sign in</html>")
    for name, found in (("program", "TorchScript"), ("pointer", ".*git lfs pull"), ("page", "but a web page")):
        with pytest.raises(CheckpointError, match=rf"{name}\.pt: .*checkpoint.*{found}"):
            GenesisUNet.from_pretrained(tmp_path / f"{name}.pt")


def test_parts_that_stay_random_are_named_in_a_warning(network, written, tmp_path, caplog):
    classifier = write_weights(tmp_path / "c.pt", GenesisClassifier(features=(4, 8), hidden=4, num_classes=5))
    loaded = GenesisClassifier.from_pretrained(classifier)
    assert loaded.config()["num_classes"] == 5
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    GenesisUNet.from_pretrained(classifier)
    assert "c.pt: not in the file or of another shape, and therefore new: decoder (16 tensors), head (2" in caplog.text
    caplog.clear()
    encoder = {key: value for key, value in network.state_dict().items() if key.startswith("encoder.")}
    GenesisUNet.from_pretrained(written(encoder), features=(4, 8))
    assert "new: decoder (16 tensors), head (2 tensors)" in caplog.text


def test_a_classifier_with_an_own_encoder_asks_for_it(tmp_path):
    encoder = torch.nn.Conv3d(1, 4, 3)
    saved = GenesisClassifier(encoder=encoder, features=4).save_pretrained(tmp_path / "own")
    with pytest.raises(ValueError, match=r"found the name of its class, .*Conv3d\. .*give it as encoder="):
        GenesisClassifier.from_pretrained(saved)
    assert same(GenesisClassifier.from_pretrained(saved, encoder=torch.nn.Conv3d(1, 4, 3)).encoder, encoder)
