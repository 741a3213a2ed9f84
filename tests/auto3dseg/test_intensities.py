import pytest
from generated_folders import CT_TRANSFORMS
from models_genesis_bundle.auto3dseg.intensities import compare_intensities
from models_genesis_bundle.data import IntensityScaling

CT = {"transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "Compose", "transforms": CT_TRANSFORMS}]}}
MR = {"transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "NormalizeIntensityd"}]}}


@pytest.mark.parametrize(
    ("intensity", "settings", "expected"),
    [
        (IntensityScaling(), CT, "Intensities: -1000 … 1000 as 0 … 1, clipped, as in pretraining."),
        (
            IntensityScaling("percentile"),
            MR,
            "Intensities differ: pretrained on each scan's 0.5th to 99.5th percentile as 0 … 1, clipped; "
            "trained here on each scan's z-scores over its non-zero voxels.",
        ),
        (
            IntensityScaling("zscore"),
            {"normalize_mode": "range", "intensity_bounds": [-175.0, 250.0]},
            "Intensities differ: pretrained on each scan's z-scores; "
            "trained here on -175 … 250 as -1 … 1, through a sigmoid.",
        ),
        (
            IntensityScaling("zscore", mean=-775.8457, std=251.9326),
            {"normalize_mode": "meanstdtanh"},
            "Intensities differ: pretrained on z-scores of mean -775.846 and standard deviation 251.933; "
            "trained here on what its normalize_mode meanstdtanh makes.",
        ),
    ],
)
def test_both_sides_are_said(intensity, settings, expected):
    assert compare_intensities({"intensity": intensity.record()}, settings) == expected


def test_what_is_not_recorded_is_not_taken_for_equal():
    assert compare_intensities(None, {}) == (
        "Intensities differ: pretrained on intensities that are not recorded; "
        "trained here on intensities that are not recorded."
    )
