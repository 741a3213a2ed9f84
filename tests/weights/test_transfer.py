import json
import logging

import pytest
import torch
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import (
    CheckpointError,
    TransferError,
    UnknownLayoutError,
    fit_input_channels,
    key_parts,
    read_weights,
    transfer_weights,
    write_checkpoint,
    write_weights,
)
from monai.networks.nets import SegResNet, UNet
from same_state import copy_of, same

WIDTHS = (4, 8)


def unet(**arguments):
    """A small GenesisUNet whose every tensor, buffers included, differs from any other's."""
    network = GenesisUNet(features=arguments.pop("features", WIDTHS), **arguments)
    for value in network.state_dict().values():
        value.copy_(torch.rand(value.shape) + 0.5 if value.is_floating_point() else torch.randint(1, 99, value.shape))
    return network


def outcomes(report):
    return {entry.key: entry.outcome for entry in report.tensors}


# --- What is loaded ---


def test_encoder_and_decoder_go_over_and_the_head_stays(tmp_path, build):
    source, target = build(1, 1), build(1, 3)
    write_weights(tmp_path / "model.pt", source)
    parts = read_weights(tmp_path / "model.pt")["network"]["parts"]
    before = copy_of(target)
    report = transfer_weights(target, tmp_path / "model.pt")
    assert same(target, source, parts["encoder"] + parts["decoder"])
    assert same(target, before, parts["head"])
    assert {entry.outcome for entry in report.tensors if entry.part != "head"} == {"loaded"}
    assert {(e.outcome, e.reason) for e in report.tensors if e.part == "head"} == {("initial", "not to be loaded")}


def test_a_classifier_takes_the_encoder():
    source, target = unet(), GenesisClassifier(features=WIDTHS, hidden=4)
    report = transfer_weights(target, source.state_dict())
    assert same(target, source, key_parts(source.state_dict())["encoder"])
    counts = report.counts()
    assert counts["encoder"] == {"loaded": {"tensors": 28, "values": counts["encoder"]["loaded"]["values"]}}
    assert counts["decoder"].keys() == {"unused"}
    assert {entry.key for entry in report.tensors if entry.part == "head" and entry.outcome == "initial"} == {
        key for key in target.state_dict() if key.startswith("head.")
    }


@pytest.mark.parametrize("wrap", [torch.compile, torch.nn.DataParallel])
def test_the_weights_reach_a_wrapped_network(wrap):
    source, target = unet(), unet()
    transfer_weights(wrap(target), source.state_dict(), parts="all", require="all")
    assert same(source, target)


def test_half_precision_is_loaded_as_the_network_has_it():
    source, target = unet().half(), unet()
    transfer_weights(target, source.state_dict())
    key = "encoder.stages.1.0.conv.weight"
    assert torch.equal(target.state_dict()[key], source.state_dict()[key].float())


# --- Input channels ---


@pytest.mark.parametrize(("file", "here"), [(1, 2), (1, 4), (2, 3), (2, 4), (3, 5), (4, 1), (4, 2), (5, 3), (3, 2)])
def test_the_same_image_in_all_channels_gives_the_same_response(file, here):
    weight = torch.rand(6, file, 3, 3, 3, dtype=torch.float64)
    image = torch.rand(1, 1, 5, 5, 5, dtype=torch.float64)
    fitted = fit_input_channels(weight, here)
    assert fitted.shape == (6, here, 3, 3, 3)
    torch.testing.assert_close(
        torch.conv3d(image.expand(-1, here, -1, -1, -1), fitted),
        torch.conv3d(image.expand(-1, file, -1, -1, -1), weight),
    )


def test_channels_are_repeated_in_turn_or_summed_in_turn():
    weight = torch.tensor([[1.0, 10.0]]).view(1, 2, 1)
    assert fit_input_channels(weight, 4).flatten().tolist() == [0.5, 5.0, 0.5, 5.0]
    assert fit_input_channels(weight, 3).flatten().tolist() == [0.5, 10.0, 0.5]
    assert fit_input_channels(torch.tensor([[1.0, 2.0, 4.0]]).view(1, 3, 1), 2).flatten().tolist() == [5.0, 2.0]


@pytest.mark.parametrize(("file", "here"), [(1, 3), (3, 1)])
def test_every_layer_that_sees_the_input_is_adapted(build, file, here):
    source, target = build(file, 2), build(here, 2)
    seeing = {k for k, v in source.state_dict().items() if v.shape != target.state_dict()[k].shape}
    report = transfer_weights(target, source.state_dict(), parts="all", require="all")
    adapted = {entry.key for entry in report.tensors if entry.outcome == "adapted"}
    assert adapted == {key for key in seeing if not key.startswith("skip_layers.")}
    assert set(outcomes(report).values()) == {"loaded", "adapted"}


# --- What fails ---


@pytest.mark.parametrize("arguments", [{"features": (4, 16)}, {"features": (4, 8, 16)}, {"spatial_dims": 2}])
def test_too_little_is_refused_and_nothing_changes(tmp_path, arguments):
    write_weights(tmp_path / "model.pt", unet())
    target = unet(out_channels=2, **arguments)
    before = copy_of(target)
    name = next(iter(arguments))
    with pytest.raises(
        TransferError, match=rf"model\.pt: .*Nothing was loaded\. .*: {name} is .*\. First missing"
    ) as error:
        transfer_weights(target, tmp_path / "model.pt")
    assert "out_channels" not in str(error.value)
    assert same(target, before)


def test_a_single_missing_tensor_of_a_required_part_is_too_little():
    state = unet().state_dict()
    del state["decoder.stages.0.up.bias"]
    target = unet()
    before = copy_of(target)
    with pytest.raises(
        TransferError, match=r"1 of the 44 required tensors .* decoder\.stages\.0\.up\.bias: not in the file"
    ):
        transfer_weights(target, state, require=("encoder", "decoder"))
    assert same(target, before)
    report = transfer_weights(target, state)
    assert [key for key, outcome in outcomes(report).items() if outcome == "initial"] == [
        "decoder.stages.0.up.bias",
        "head.weight",
        "head.bias",
    ]


@pytest.mark.parametrize(
    ("target", "required", "reason"),
    [
        (
            lambda: unet(in_channels=2, features=(4, 16)),
            ("encoder", "decoder"),
            "another shape",
        ),  # 4 is no input channel
        (lambda: unet(out_channels=2), "head", r"head\.weight: another number of outputs"),
        (lambda: SegResNet(), "encoder", r"another network \(.*GenesisUNet; here .*SegResNet\): no key is the same"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, target, required, reason):
    path = write_weights(tmp_path / "model.pt", unet())
    with pytest.raises(TransferError, match=reason):
        transfer_weights(target(), path, parts="all", require=required)


def test_running_statistics_count(tmp_path):
    write_weights(tmp_path / "model.pt", unet(norm=("batch", {"track_running_stats": False})))
    with pytest.raises(TransferError, match=r"norm is \['batch', .*running_mean: not in the file"):
        transfer_weights(unet(), tmp_path / "model.pt")
    report = transfer_weights(unet(norm=("batch", {"track_running_stats": False})), unet().state_dict())
    unused = [entry.key for entry in report.tensors if entry.outcome == "unused"]
    assert unused
    assert all("running" in key or "num_batches" in key for key in unused)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"require": "decoder"}, "decoder is required, but the network has none"),
        ({"parts": ["encodr"]}, "parts: expected names from encoder, decoder, head, or all, found encodr"),
        ({"parts": "decoder", "require": "encoder"}, "require: encoder is required, but only decoder is to be loaded"),
        ({"key_map": {"encoder.": "a.", "decoder.": "a."}}, "key_map: maps both encoder.* and decoder.* to the key a."),
    ],
)
def test_settings_that_contradict(settings, message):
    twins = {"encoder.w": torch.zeros(1), "decoder.w": torch.zeros(1)}
    with pytest.raises(ValueError, match=message):
        transfer_weights(GenesisClassifier(features=WIDTHS, hidden=4), twins, **settings)


def test_networks_of_no_known_layout_transfer_as_a_whole():
    source, target = torch.nn.Conv3d(1, 2, 3), torch.nn.Conv3d(2, 2, 3)
    with pytest.raises(UnknownLayoutError, match="transfer all"):
        transfer_weights(target, source.state_dict())
    report = transfer_weights(target, source.state_dict(), parts="all", require="all")
    assert outcomes(report) == {"weight": "adapted", "bias": "loaded"}
    with pytest.raises(TransferError, match="weight: another shape"):
        transfer_weights(torch.nn.Conv3d(1, 3, 3), source.state_dict(), parts="all", require="all")


# --- Files and keys ---


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("wrapper", ["model", "state_dict", "network_weights", None])
def test_wherever_the_checkpoint_keeps_its_weights(tmp_path, prefix, wrapper):
    source, target = unet(), unet()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    write_checkpoint({"epoch": 3, wrapper: state} if wrapper else state, tmp_path / "a.pt")
    report = transfer_weights(target, tmp_path / "a.pt", parts="all", require="all")
    assert same(source, target)
    assert report.prefix == prefix
    assert (f"the prefix '{prefix}' taken off" in str(report)) == bool(prefix)


def test_a_prefix_of_some_keys_is_part_of_the_keys():
    state = {"module.weight": torch.ones(1, 1), "bias": torch.ones(1)}
    report = transfer_weights(torch.nn.Linear(1, 1), state, parts="all", require=())
    assert outcomes(report) == {"weight": "initial", "bias": "loaded", "module.weight": "unused"}


def test_a_prefix_that_the_network_has_itself_is_no_wrapper():
    source, target = (UNet(3, 1, 2, channels=(4, 8), strides=(2,)) for _ in range(2))
    assert all(key.startswith("model.") for key in source.state_dict())
    for prefix in ("", "module."):
        state = {prefix + key: value for key, value in source.state_dict().items()}
        report = transfer_weights(target, state, parts="all", require="all")
        assert report.prefix == prefix
        assert same(source, target)


def test_keys_are_mapped_by_the_longest_beginning():
    source, target = unet(), unet()
    theirs = {"encoder.": "down.", "encoder.stages.1.": "deepest.", "decoder.": "up."}
    state = {}
    for key, value in source.state_dict().items():
        start = max((start for start in theirs if key.startswith(start)), key=len, default="")
        state[theirs.get(start, "") + key.removeprefix(start)] = value
    key_map = {"down.": "encoder.", "deepest.": "encoder.stages.1.", "up.": "decoder."}
    transfer_weights(target, state, parts="all", require="all", key_map=key_map)
    assert same(source, target)


@pytest.mark.parametrize("content", [{"epoch": 3}, {"state_dict": {}}, {}])
def test_a_checkpoint_without_weights_is_named(tmp_path, content):
    write_checkpoint(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt: expected a state dict, .* found the keys"):
        transfer_weights(unet(), tmp_path / "a.pt")


def test_tensors_under_several_keys_count_once(tmp_path, build_dynunet):
    source, target = build_dynunet(1, 1), build_dynunet(1, 1)
    write_weights(tmp_path / "model.pt", source)
    numbers = sum(parameter.numel() for parameter in source.parameters())
    assert (tmp_path / "model.pt").stat().st_size < 1.5 * 4 * numbers + 200_000
    report = transfer_weights(target, tmp_path / "model.pt", parts="all", require="all")
    assert len(report.tensors) == len(list(target.parameters())) < len(target.state_dict())
    assert sum(entry.values for entry in report.tensors) == numbers
    assert same(source, target)

    unaliased = {key: value for key, value in source.state_dict().items() if not key.startswith("skip_layers.")}
    other = build_dynunet(1, 1)
    transfer_weights(other, unaliased, parts="all", require="all")
    assert same(source, other)


# --- The report ---


def test_the_report_is_a_short_table_and_the_list_is_there_for_debugging(caplog, tmp_path):
    write_weights(tmp_path / "model.pt", unet())
    with caplog.at_level(logging.DEBUG, "models_genesis_bundle"):
        report = transfer_weights(unet(in_channels=2, out_channels=3), tmp_path / "model.pt", parts="all")
    info = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert info == [str(report)]
    assert str(report).replace(f"{tmp_path}/", "").splitlines() == [
        "Weights from model.pt: 44 of 46 tensors",
        "part     outcome  tensors  values  reason",
        "encoder  adapted        1     108  input channels (encoder.stages.0.0.conv.weight: 1 in the file, 2 here)",
        "encoder  loaded        27   1,606",
        "decoder  loaded        16   2,290",
        "head     initial        2      15  another number of outputs "
        "(head.weight: (1, 4, 1, 1, 1) in the file, (3, 4, 1, 1, 1) here)",
    ]
    debug = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert len(debug) == len(report.tensors) == 46


def test_nothing_loaded_is_a_warning(caplog):
    transfer_weights(unet(), {"other": torch.zeros(3)}, require=())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "network  unused         1       3  the network has no such tensor" in record.getMessage()


def test_the_report_as_plain_values():
    report = transfer_weights(unet(in_channels=2), unet().state_dict())
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["counts"]["encoder"]["adapted"] == {"tensors": 1, "values": 108}
    assert plain["parts"] == ["encoder", "decoder"]
    assert plain["tensors"][0]["key"] == "encoder.stages.0.0.conv.weight"
    assert sum(c["values"] for part in plain["counts"].values() for c in part.values()) == sum(
        value.numel() for value in unet(in_channels=2).state_dict().values()
    )
