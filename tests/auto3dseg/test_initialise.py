from __future__ import annotations

import pytest
import torch
from generated_folders import CT_TRANSFORMS, SEGRESNET_2D, read_settings, write_segresnet, write_swinunetr
from models_genesis_bundle.auto3dseg import Auto3DSegError, initialise
from models_genesis_bundle.auto3dseg.initialise import intensities
from models_genesis_bundle.data import IntensityScaling
from models_genesis_bundle.weights import CheckpointError, write_weights
from monai.bundle import ConfigParser
from monai.networks.nets import SegResNetDS, SwinUNETR
from others_files import write_suprem_swinunetr

CT_ALGORITHM = {
    "transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "Compose", "transforms": CT_TRANSFORMS}]}
}
MR_ALGORITHM = {"transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "NormalizeIntensityd"}]}}
CT = {"intensity": {"mode": "window", "lower": -1000.0, "upper": 1000.0}, "orientation": "RAS"}


def segresnet(**arguments) -> SegResNetDS:
    """A network as it is pretrained: one channel in, one out, no deep supervision."""
    shape = {"init_filters": 8, "blocks_down": [1, 1], "norm": "INSTANCE", "dsdepth": 1, "out_channels": 1}
    return SegResNetDS(**{**shape, **arguments})


def target(**arguments) -> SegResNetDS:
    """The network that the generated segresnet trains."""
    return segresnet(**{"dsdepth": 2, "out_channels": 3, **arguments})


@pytest.fixture
def pretrained(tmp_path):
    """Weights of a SegResNetDS, and the network."""
    network = segresnet()
    return write_weights(tmp_path / "segresnet.pt", network, preprocessing=CT), network


def written(folder):
    """What the algorithm will read: the file that its settings name."""
    settings = ConfigParser(read_settings(folder))
    key = "finetune::ckpt_name" if "finetune" in settings and "enabled" in settings["finetune"] else "pretrained_path"
    return torch.load(settings.get_parsed_content(key), weights_only=True)


def test_segresnet_of_each_fold_starts_with_the_pretrained_features(tmp_path, pretrained):
    path, network = pretrained
    folders = [write_segresnet(tmp_path / "work", f"segresnet_{fold}") for fold in range(2)]
    results = initialise(tmp_path / "work", path)
    image = torch.rand(1, 1, 16, 16, 8)
    for folder, result in zip(folders, results, strict=True):
        assert (result.algorithm, result.weights) == (folder.name, str(path))
        started = target()
        started.load_state_dict(written(folder)["state_dict"])  # strict, as the algorithm loads it
        for features, expected in zip(started.encoder(image), network.encoder(image), strict=True):
            torch.testing.assert_close(features, expected, rtol=0, atol=0)


def test_only_the_safe_keys_are_set_and_the_rest_of_the_file_stays(tmp_path, pretrained):
    folder = write_segresnet(tmp_path / "work")
    before = read_settings(folder)
    initialise(tmp_path / "work", pretrained[0])
    after = read_settings(folder)
    assert after.pop("finetune") == {"enabled": True, "ckpt_name": "$@bundle_root + '/genesis_weights.pt'"}
    before.pop("finetune")
    assert list(after.items()) == list(before.items())


def test_the_same_again_changes_nothing_and_other_weights_replace(tmp_path, pretrained):
    folder = write_segresnet(tmp_path / "work")
    first, second = (_after(folder, initialise(tmp_path / "work", pretrained[0])) for _ in range(2))
    assert first == second
    other = write_weights(tmp_path / "other.pt", segresnet())
    assert _after(folder, initialise(tmp_path / "work", other))["file"] != first["file"]


def _after(folder, results):
    assert results[0].weights
    return {"file": (folder / "genesis_weights.pt").read_bytes(), "settings": read_settings(folder)}


def test_on_anisotropic_scans_only_weights_of_such_kernels_fit(tmp_path, pretrained):
    folder = write_segresnet(tmp_path / "work", anisotropic_scales=True)
    refused = initialise(tmp_path / "work", pretrained[0])[0]
    assert refused.weights is None
    assert '--network_def::resolution "[1.0, 1.0, 4.0]"' in refused.reason
    assert not (folder / "genesis_weights.pt").exists()
    assert read_settings(folder)["finetune"]["enabled"] is False

    fitting = write_weights(tmp_path / "fitting.pt", segresnet(resolution=[1.0, 1.0, 4.0]))
    assert initialise(tmp_path / "work", [pretrained[0], fitting])[0].weights == str(fitting)
    target(resolution=[1.0, 1.0, 4.0]).load_state_dict(written(folder)["state_dict"])


def test_segresnet2d_reads_its_wrapped_network(tmp_path):
    folder = write_segresnet(tmp_path / "work", "segresnet2d_0", network=SEGRESNET_2D)
    path = write_weights(tmp_path / "flat.pt", segresnet(spatial_dims=2, norm="BATCH"))
    assert initialise(tmp_path / "work", path)[0].weights
    wrapped = torch.nn.Module()
    wrapped.net = target(spatial_dims=2, norm="BATCH")
    wrapped.load_state_dict(written(folder)["state_dict"])


def test_swinunetr_gets_weights_fitted_to_its_input_channels(tmp_path):
    folder = write_swinunetr(tmp_path / "work")
    pretrained = SwinUNETR(in_channels=1, out_channels=1, feature_size=12)
    path = write_weights(tmp_path / "swinunetr.pt", pretrained)
    report = initialise(tmp_path / "work", path)[0].report
    assert report.counts()["encoder"]["adapted"]["tensors"] > 0
    state = written(folder)["state_dict"]
    SwinUNETR(in_channels=2, out_channels=3, feature_size=12).load_state_dict(state)
    key = "swinViT.patch_embed.proj.weight"
    torch.testing.assert_close(state[key].sum(1, keepdim=True), pretrained.state_dict()[key])
    assert read_settings(folder)["use_pretrain"] is True


def test_each_algorithm_takes_what_fits_and_others_are_named_with_the_reason(tmp_path, pretrained, caplog):
    write_segresnet(tmp_path / "work")
    write_swinunetr(tmp_path / "work")
    write_segresnet(tmp_path / "work", "other_0", finetune={})
    write_segresnet(tmp_path / "work", "genesis_0", finetune={}, initial_weights="none")
    swinunetr = write_weights(tmp_path / "swinunetr.pt", SwinUNETR(in_channels=1, out_channels=1, feature_size=12))
    with caplog.at_level("INFO"):
        genesis, other, *taking = initialise(tmp_path / "work", [pretrained[0], swinunetr])
    assert [result.weights for result in taking] == [str(pretrained[0]), str(swinunetr)]
    assert "initial_weights of Auto3DSeg's input" in genesis.reason
    assert "finetune::enabled and finetune::ckpt_name" in other.reason
    assert f"other_0: none of the weights can be used. {other.reason}" in caplog.messages
    assert (
        "Intensities in pretraining: mode window, lower -1000.0, upper 1000.0; "
        "in the algorithm's training: normalize_mode meanstd, intensity_bounds [-175.0, 250.0]."
    ) in caplog.messages


def test_an_algorithm_that_cannot_be_built_does_not_stop_the_others(tmp_path, pretrained):
    write_segresnet(tmp_path / "work", "broken_0", network={"_target_": "SegResNetDS", "init_filters": "many"})
    write_segresnet(tmp_path / "work")
    broken, taking = initialise(tmp_path / "work", pretrained[0])
    assert "Its network cannot be built" in broken.reason
    assert taking.weights


def test_a_key_that_overrides_the_weights_is_refused(tmp_path, pretrained):
    folder = write_segresnet(tmp_path / "work", pretrained_ckpt_name="/somewhere/model.pt")
    refused = initialise(tmp_path / "work", pretrained[0])[0]
    assert "pretrained_ckpt_name is set and would be used instead" in refused.reason
    assert not (folder / "genesis_weights.pt").exists()


def test_refused_weights_leave_those_of_before(tmp_path, pretrained, caplog):
    folder = write_segresnet(tmp_path / "work")
    before = _after(folder, initialise(tmp_path / "work", pretrained[0]))
    wide = write_weights(tmp_path / "wide.pt", segresnet(init_filters=16))
    initialise(tmp_path / "work", wide)
    assert "It still starts from the weights of an earlier call" in caplog.text
    assert {"file": (folder / "genesis_weights.pt").read_bytes(), "settings": read_settings(folder)} == before


def test_algos_restricts_to_algorithms_or_folders(tmp_path, pretrained):
    for name in ("segresnet_0", "segresnet_1", "copy_0"):
        write_segresnet(tmp_path / "work", name)
    work_dir, path = tmp_path / "work", pretrained[0]
    assert [result.algorithm for result in initialise(work_dir, path, "segresnet")] == ["segresnet_0", "segresnet_1"]
    assert [result.algorithm for result in initialise(work_dir, path, ["segresnet_1"])] == ["segresnet_1"]
    with pytest.raises(Auto3DSegError, match=r"copy, copy_0, segresnet, .*found segresnet_7"):
        initialise(work_dir, path, "segresnet_7")


def test_nothing_generated_and_no_weights_are_refused(tmp_path, pretrained):
    with pytest.raises(Auto3DSegError, match="Generate the algorithms first"):
        initialise(tmp_path, pretrained[0])
    write_segresnet(tmp_path / "work")
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        initialise(tmp_path / "work", tmp_path / "missing.pt")


@pytest.mark.parametrize(
    ("intensity", "settings", "before", "here"),
    [
        (
            IntensityScaling(),
            CT_ALGORITHM,
            "mode window, lower -1000",
            "transform ScaleIntensityRanged, a_min -1000.0, a_max 1000.0.",
        ),
        (IntensityScaling("percentile"), MR_ALGORITHM, "mode percentile, lower 0.5", "transform NormalizeIntensityd."),
        (
            IntensityScaling("zscore"),
            {"normalize_mode": "range", "intensity_bounds": [-175.0, 250.0]},
            "mode zscore",
            "normalize_mode range, intensity_bounds [-175.0, 250.0].",
        ),
    ],
)
def test_the_intensities_of_both_are_said(intensity, settings, before, here):
    sentence = intensities({"intensity": intensity.record()}, settings)
    assert sentence.startswith(f"Intensities in pretraining: {before}")
    assert sentence.endswith(f"; in the algorithm's training: {here}")


def test_intensities_that_are_not_recorded_are_said():
    assert intensities(None, {}).startswith("Intensities in pretraining: not recorded;")


def test_the_preprocessing_of_published_weights_is_known(tmp_path, caplog):
    caplog.set_level("INFO")
    write_swinunetr(tmp_path / "work")
    write_suprem_swinunetr(tmp_path / "suprem.pth")
    assert initialise(tmp_path / "work", tmp_path / "suprem.pth")[0].weights
    assert "in pretraining: mode window, lower -175.0, upper 250.0" in caplog.text
