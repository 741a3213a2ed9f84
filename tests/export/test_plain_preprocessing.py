"""Preprocessing in MONAI's own transforms gives the network what it was trained on."""

from __future__ import annotations

import nibabel
import pytest
import torch
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.export import plain_preprocessing
from monai.bundle import ConfigParser


@pytest.fixture(scope="module")
def turned_scan(phantoms, tmp_path_factory):
    """A phantom whose file has other axes than RAS."""
    image = nibabel.load(phantoms / "images" / "phantom_000.nii.gz").slicer[5:, :, 3:]
    path = tmp_path_factory.mktemp("turned") / "scan.nii.gz"
    nibabel.save(image.as_reoriented(nibabel.orientations.axcodes2ornt("PIR")), path)
    return str(path)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"intensity": IntensityScaling("window", -160, 240), "spacing": (4.0, 4.0, 8.0)},
        {"intensity": IntensityScaling("percentile", 1, 99), "spacing": 7.0, "orientation": "SPL"},
        {"intensity": IntensityScaling("zscore", clip=2.0), "orientation": None},
        {"intensity": IntensityScaling("zscore", mean=-775.8457, std=251.9326)},
    ],
)
def test_it_gives_the_same_voxels_in_the_same_place(settings, turned_scan):
    steps = ScanPreprocessing(**settings)
    plain = ConfigParser({"steps": plain_preprocessing(steps.record())}).get_parsed_content("steps")
    wanted, found = (one({"image": turned_scan})["image"] for one in (steps, plain))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.as_tensor(), wanted.as_tensor(), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.affine, wanted.affine)


@pytest.mark.parametrize("settings", [{"volume": 1}, {"spatial_dims": 2}, {"channels": 2}])
def test_what_cannot_be_said_in_them_is_refused(settings):
    with pytest.raises(ValueError, match="with one volume and one channel"):
        plain_preprocessing(ScanPreprocessing(**settings).record())
