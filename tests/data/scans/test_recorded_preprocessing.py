import logging

import pytest
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing, recorded_preprocessing

MR = IntensityScaling("percentile")
RECORDED = ScanPreprocessing(intensity=MR, spacing=(1.0, 1.0, 2.0), orientation=None, volume=1)


def warnings(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_record_is_followed_without_a_word(caplog):
    assert recorded_preprocessing(RECORDED.record()).record() == RECORDED.record()
    assert recorded_preprocessing(RECORDED.record()).keys == ("image",)
    assert not warnings(caplog)


def test_the_same_said_again_is_no_difference(caplog):
    recorded_preprocessing(RECORDED.record(), intensity=MR, spacing=[1, 1, 2], orientation="scan", volume=1)
    assert not warnings(caplog)


def test_from_scratch_the_defaults_hold_and_any_setting_goes(caplog):
    assert recorded_preprocessing(None).record() == ScanPreprocessing().record()
    chosen = recorded_preprocessing(None, intensity=MR, spacing=2.0, orientation="LPS", volume=3)
    assert chosen.record() == ScanPreprocessing("image", MR, 2.0, "LPS", volume=3).record()
    assert not warnings(caplog)


def test_flat_images_have_two_axes_with_and_without_a_record():
    flat = ScanPreprocessing(spatial_dims=2)
    assert recorded_preprocessing(None, spatial_dims=2).record() == flat.record()
    assert recorded_preprocessing(flat.record()).spatial_dims == 2


@pytest.mark.parametrize(
    ("setting", "expected", "messages"),
    [
        ({"intensity": "window"}, {"intensity": IntensityScaling().record()}, ["mode='window'", "mode='percentile'"]),
        ({"spacing": 1.5}, {"spacing": [1.5, 1.5, 1.5]}, ["spacing is (1.5, 1.5, 1.5)", "with (1.0, 1.0, 2.0)"]),
        ({"spacing": "scan"}, {"spacing": None}, ["spacing is the scan's own", "with (1.0, 1.0, 2.0)"]),
        ({"orientation": "RAS"}, {"orientation": "RAS"}, ["orientation is RAS", "with the scan's own"]),
    ],
    ids=["intensity", "spacing", "own spacing", "orientation"],
)
def test_a_departure_from_the_record_is_a_warning_that_names_both(caplog, setting, expected, messages):
    assert recorded_preprocessing(RECORDED.record(), **setting).record() == {**RECORDED.record(), **expected}
    (record,) = warnings(caplog)
    assert all(message in record.getMessage() for message in messages)


def test_which_volume_is_a_matter_of_the_data_alone(caplog):
    assert recorded_preprocessing(RECORDED.record(), volume=0).volume == 0
    assert not warnings(caplog)


@pytest.mark.parametrize(
    "record",
    [{}, {"intensity": {"mode": "window", "gamma": 2}}, {**RECORDED.record(), "colour": "red"}, {"intensity": None}],
)
def test_a_record_that_is_not_understood_says_what_was_expected(record):
    with pytest.raises(ValueError, match=r"invalid record of their .* expected the entries intensity, .* found \{"):
        recorded_preprocessing(record)


def test_settings_out_of_range_are_not_blamed_on_the_record():
    with pytest.raises(ValueError, match=r"^ScanPreprocessing: spacing must be above 0"):
        recorded_preprocessing(RECORDED.record(), spacing=-1.0)
    with pytest.raises(ValueError, match="orientation must name"):
        recorded_preprocessing(None, orientation="XYZ")
