"""Files that others published are recognised, answer as theirs do, are reported and are refused as loudly as our own."""

import logging

import pytest
import torch
from models_genesis_bundle.data import ScanPreprocessing, recorded_preprocessing
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
from models_genesis_bundle.weights.published import FILES, LAYOUTS
from monai.networks.nets import SegResNet, SegResNetDS, SwinUNETR
from others_files import (
    WRITTEN,
    assert_same_network,
    write_nnssl,
    write_nvidia,
    write_suprem_segresnet,
    write_suprem_unet,
    write_voco,
)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_becomes_the_network_that_wrote_it_and_is_reported(tmp_path, name, caplog):
    """Recognised by its tensors, with its licence, and its scans as its authors prepare them; a run warns of another scaling."""
    if "nnssl" in name:
        pytest.importorskip("dynamic_network_architectures")
    if "safetensors" in name:
        pytest.importorskip("safetensors")
    kind, path = WRITTEN[name], tmp_path / name
    torch.manual_seed(0)
    theirs = kind.write(path)
    with caplog.at_level(logging.INFO):
        network = load_published(path)
    assert f"recognised as {kind.title}" in caplog.text
    assert_same_network(network, theirs, kind)

    records = published_records(path)
    layout = next(layout for layout in LAYOUTS if layout.title == kind.title)
    assert InitialWeights(path).record()["data"] == records["data"] == layout.record()
    scans = ScanPreprocessing.from_record(records["preprocessing"])
    intensity = scans.intensity.mode, scans.intensity.lower, scans.intensity.upper
    assert (intensity, scans.spacing, scans.orientation) == kind.scans
    recorded_preprocessing(records["preprocessing"], intensity="percentile")
    assert "but the weights were pretrained with" in caplog.text


def test_the_default_network_takes_suprems_unet(tmp_path):
    """The published Models Genesis layout: all but the head."""
    write_suprem_unet(tmp_path / "suprem.pth")
    initial = InitialWeights(tmp_path / "suprem.pth", require=["encoder", "decoder"])
    network = GenesisUNet(
        out_channels=3, output_activation=None, features=initial.source.network["arguments"]["features"]
    )
    initial.load_into(network)
    counts = initial.report.counts()
    assert counts["encoder"].keys() == counts["decoder"].keys() == {"loaded"}
    assert "104 of 106 tensors" in str(initial.report)


def test_nvidias_file_gives_what_monais_own_loader_does(tmp_path):
    """The convolutions around the transformer are in no such file: they stay new, which the report says."""
    write_nvidia(tmp_path / "swin.pt")
    theirs = SwinUNETR(1, 3, feature_size=12)
    theirs.load_from(torch.load(tmp_path / "swin.pt"))
    network = SwinUNETR(1, 3, feature_size=12)
    report = transfer_weights(network, tmp_path / "swin.pt", require="encoder")
    wanted = theirs.swinViT.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in network.swinViT.state_dict().items())
    assert {entry.reason for entry in report.tensors if entry.key.startswith("encoder1.")} == {
        "in no file of this kind"
    }


def test_a_tensor_that_such_files_hold_is_missed(tmp_path):
    write_nvidia(tmp_path / "whole.pt")
    content = read_checkpoint(tmp_path / "whole.pt")
    del content["state_dict"]["module.layers1.0.blocks.0.norm1.weight"]
    write_checkpoint(content, tmp_path / "part.pt")
    with pytest.raises(TransferError, match=r"1 of the .* required tensors"):
        transfer_weights(SwinUNETR(1, 3, feature_size=12), tmp_path / "part.pt", require="encoder")


def test_another_network_than_the_files_is_refused_with_the_files(tmp_path):
    write_suprem_segresnet(tmp_path / "suprem.pth")
    with pytest.raises(TransferError, match=r"SuPreM's SegResNet, with the network .*SegResNet\(.*init_filters=16"):
        transfer_weights(GenesisUNet(features=(4, 8)), tmp_path / "suprem.pth")
    with pytest.raises(TransferError, match=r"published_weights\.md names the settings"):
        transfer_weights(SegResNet(init_filters=8), tmp_path / "suprem.pth")


def test_an_unknown_file_is_refused_with_all_that_are_known(tmp_path):
    torch.save({"eva.pos_embed": torch.rand(1, 8, 4)}, tmp_path / "primus.pth")
    with pytest.raises(TransferError) as refused:
        transfer_weights(GenesisUNet(features=(4, 8)), tmp_path / "primus.pth")
    with pytest.raises(CheckpointError, match="not one of the known published files") as unknown:
        load_published(tmp_path / "primus.pth")
    assert all(layout.title in str(error.value) for layout in LAYOUTS for error in (refused, unknown))


def test_a_users_own_network_is_not_taken_for_a_published_one(tmp_path):
    """Another number of classes, or a file with records of its own."""
    write_voco(tmp_path / "own.pt", classes=5)
    assert InitialWeights(tmp_path / "own.pt").source.layout is None
    write_weights(tmp_path / "ours.pt", SwinUNETR(1, 21, feature_size=12, use_v2=True))
    assert InitialWeights(tmp_path / "ours.pt").source.layout is None


def test_nnunets_own_files_keep_their_axes_and_nnssls_plan_is_followed(tmp_path):
    """The plan says how arrays were turned, and how intensities were scaled where that is known here."""
    pytest.importorskip("dynamic_network_architectures")
    theirs = write_nnssl(tmp_path / "nnunet.pth", plan=False)
    source = InitialWeights(tmp_path / "nnunet.pth").source
    assert source.layout is None
    first = "encoder.stem.convs.0.conv.weight"
    assert torch.equal(source.state[first], theirs.state_dict()[first])
    theirs = write_nnssl(tmp_path / "turned.pth", transpose=(1, 0, 2), normalisation="NoNormalization")  # (Y, Z, X)
    source = InitialWeights(tmp_path / "turned.pth").source
    assert torch.equal(source.state[first], theirs.state_dict()[first].permute(0, 1, 4, 2, 3))
    assert source.preprocessing is None


def test_a_segresnetds_takes_ct_fms_encoder(tmp_path):
    WRITTEN["ct_fm.ckpt"].write(tmp_path / "ct_fm.ckpt")
    network = SegResNetDS(init_filters=4, blocks_down=(1, 2, 2, 4, 4), out_channels=3)
    report = transfer_weights(network, tmp_path / "ct_fm.ckpt", require="encoder")
    assert report.counts()["encoder"].keys() == {"loaded"}


def test_every_file_has_an_address_and_a_licence():
    assert len(FILES) == sum(len(layout.files) for layout in LAYOUTS)
    for name, layout in FILES.items():
        assert layout.files[name].startswith("https://")
        assert layout.files[name].endswith(name.split("/")[-1])
        assert layout.licence
        assert layout.page.startswith("https://")


def test_the_page_names_every_network_and_licence(root):
    page = (root / "docs" / "how-to" / "published_weights.md").read_text(encoding="utf-8")
    for layout in LAYOUTS:
        assert layout.licence.split(",")[0].split(":")[0].split(";")[0] in page
        assert next(iter(layout.files)) in page
