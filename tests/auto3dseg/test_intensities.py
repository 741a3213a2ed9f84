"""What initialise says about the intensities of the pretraining and of the algorithm."""

import pytest
from generated_folders import CT_TRANSFORMS
from models_genesis_bundle.auto3dseg.initialise import intensities
from models_genesis_bundle.data import IntensityScaling

CT = {"transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "Compose", "transforms": CT_TRANSFORMS}]}}
MR = {"transforms_train": {"_target_": "Compose", "transforms": [{"_target_": "NormalizeIntensityd"}]}}


@pytest.mark.parametrize(
    ("intensity", "settings", "before", "here"),
    [
        (
            IntensityScaling(),
            CT,
            "mode window, lower -1000",
            "transform ScaleIntensityRanged, a_min -1000.0, a_max 1000.0.",
        ),
        (IntensityScaling("percentile"), MR, "mode percentile, lower 0.5", "transform NormalizeIntensityd."),
        (
            IntensityScaling("zscore"),
            {"normalize_mode": "range", "intensity_bounds": [-175.0, 250.0]},
            "mode zscore",
            "normalize_mode range, intensity_bounds [-175.0, 250.0].",
        ),
    ],
)
def test_both_sides_are_said(intensity, settings, before, here):
    sentence = intensities({"intensity": intensity.record()}, settings)
    assert sentence.startswith(f"Intensities: pretrained with {before}")
    assert sentence.endswith(f"; trained here with {here}")


def test_what_is_not_recorded_is_said():
    assert intensities(None, {}).startswith("Intensities: pretrained with what is not recorded;")
