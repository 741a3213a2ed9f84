"""Weights for Auto3DSeg's algorithms and MONAI's networks: the form of each file, and what is refused."""

import pytest
import torch
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import (
    TARGETS,
    TargetError,
    convert,
    read_checkpoint,
    transfer_weights,
    write_for,
    write_weights,
)
from monai.networks.nets import DynUNet, SegResNet, SegResNetDS, SwinUNETR
from same_state import same

BUILDERS = {
    "segresnet": lambda: SegResNetDS(init_filters=8, blocks_down=(1, 2, 1), norm="INSTANCE", dsdepth=2),
    "segresnet2d": lambda: SegResNetDS(2, init_filters=8, blocks_down=(1, 1), norm="INSTANCE"),
    "swinunetr": lambda: SwinUNETR(1, 1, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
    "dynunet": lambda: DynUNet(3, 1, 1, [3] * 3, [1, 2, 2], [2, 2], [4, 8, 8]),
}


class DiNTS(torch.nn.Conv3d):
    """A replacement of MONAI's searched network: only the name of the class matters."""


@pytest.mark.parametrize("target", BUILDERS)
def test_file_form(tmp_path, target):
    """The keys are those that the frameworks load strictly."""
    network = BUILDERS[target]()
    write_for(target, network, tmp_path / "weights.pt", preprocessing={"orientation": "RAS"})
    written = read_checkpoint(tmp_path / "weights.pt")
    state = written if target == "dynunet" else written["state_dict"]
    if target.startswith("segresnet"):
        assert (written["epoch"], written["best_metric"]) == (0, 0.0)
        assert written["config"] == {"preprocessing": {"orientation": "RAS"}}
    if target == "segresnet2d":
        assert all(key.startswith("net.") for key in state)
        state = {key.removeprefix("net."): value for key, value in state.items()}
    receiver = BUILDERS[target]()
    receiver.load_state_dict(state)
    assert same(receiver, network)


@pytest.mark.parametrize("target", BUILDERS)
def test_a_file_becomes_the_same_file(tmp_path, target):
    network = BUILDERS[target]()
    write_weights(tmp_path / "model.pt", network)
    report = convert(tmp_path / "model.pt", target, tmp_path / "converted.pt")
    assert {entry.outcome for entry in report.tensors} == {"loaded"}
    assert sum(entry.values for entry in report.tensors) == sum(
        value.numel() for value in [*network.parameters(), *network.buffers()]
    ), "tensors of several keys count once"
    receiver = BUILDERS[target]()
    transfer_weights(receiver, tmp_path / "converted.pt", parts="all", require="all")
    assert same(receiver, network)


def test_segresnets_encoder_computes_what_segresnetds_encoder_does(tmp_path):
    """SegResNet calls the same layers by other names; its decoder is another."""
    source = BUILDERS["segresnet"]()
    write_weights(tmp_path / "model.pt", source)
    report = convert(tmp_path / "model.pt", "segresnet_encoder", tmp_path / "encoder.pt")
    assert {part: set(outcomes) for part, outcomes in report.counts().items()} == {
        "encoder": {"loaded"},
        "decoder": {"unused"},
        "head": {"unused"},
    }
    target = SegResNet(
        init_filters=8, blocks_down=(1, 2, 1), blocks_up=(1, 1), norm=("INSTANCE", {"affine": True})
    )  # fmt: skip
    transfer_weights(target, tmp_path / "encoder.pt")
    image = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        maps = zip(source.encoder(image), target.encode(image)[1], strict=True)
        assert all(torch.equal(*pair) for pair in maps)


def test_more_input_channels_are_fitted(tmp_path):
    write_weights(tmp_path / "model.pt", BUILDERS["swinunetr"]())
    report = convert(tmp_path / "model.pt", "swinunetr", tmp_path / "weights.pt", in_channels=4)
    assert report.counts()["encoder"]["adapted"]["tensors"] == 3  # patch embedding, two convolutions of encoder1
    network = SwinUNETR(4, 1, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1))
    network.load_state_dict(read_checkpoint(tmp_path / "weights.pt")["state_dict"])


def test_dints_takes_only_its_own(tmp_path):
    network = DiNTS(1, 1, 1)
    write_for("dints", network, tmp_path / "weights.pt")
    assert set(read_checkpoint(tmp_path / "weights.pt")) == {"weight", "bias"}
    with pytest.raises(
        TargetError, match=r"dints takes the weights of DiNTS, not of DynUNet\. The network is searched"
    ):
        write_for("dints", BUILDERS["dynunet"](), tmp_path / "weights.pt")


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_that_fits_nowhere_is_refused_with_what_to_do(tmp_path, target):
    network = GenesisUNet(features=(4, 8))
    write_weights(tmp_path / "model.pt", network)
    for attempt in (
        lambda: write_for(target, network, tmp_path / "weights.pt"),
        lambda: convert(tmp_path / "model.pt", target, tmp_path / "weights.pt"),
    ):
        with pytest.raises(
            TargetError, match=f"{target} takes the weights of .*, not of GenesisUNet. (Pretrain|The net)"
        ):
            attempt()
    assert not (tmp_path / "weights.pt").exists()


def test_other_dimensions_and_unknown_targets_are_refused(tmp_path):
    with pytest.raises(TargetError, match="segresnet takes 3D networks, found a 2D network"):
        write_for("segresnet", BUILDERS["segresnet2d"](), tmp_path / "weights.pt")
    with pytest.raises(TargetError, match=r"monay: unknown target for weights\. Choose from segresnet, .*nnssl"):
        write_for("monay", BUILDERS["dynunet"](), tmp_path / "weights.pt")
