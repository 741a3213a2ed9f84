"""Inference as a user runs it: restored scans in the geometry of the originals."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from conftest import arguments, finish, start


@pytest.fixture
def turned_scan(phantoms, tmp_path):
    """A phantom stored with other axes than RAS, and not divisible by the window."""
    image = nibabel.load(sorted((phantoms / "images").glob("*.nii.gz"))[0])
    turned = image.slicer[5:, :, 3:].as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
    folder = tmp_path / "scans"
    folder.mkdir()
    nibabel.save(turned, folder / "turned.nii.gz")
    return folder / "turned.nii.gz"


@pytest.mark.parametrize("deform", ["false", "true"])
def test_restored_scans_lie_where_the_originals_do(pretrained, turned_scan, tmp_path, deform):
    output = tmp_path / "restored"
    settings = {
        "network_def::features": "[4,8]", "cube_size": "[32,32,16]", "precision": "float32", "deform": deform,
        "dataset_dir": turned_scan.parent, "output_dir": output, "ckpt_path": pretrained / "checkpoints" / "model.pt",
    }  # fmt: skip
    finish(start("run", "inferring", "--config_file", "configs/inference.yaml", *arguments(**settings)))
    original, restored = nibabel.load(turned_scan), nibabel.load(output / "turned_restored.nii.gz")
    assert restored.shape == original.shape
    np.testing.assert_allclose(restored.affine, original.affine, atol=1e-4)
    values = restored.get_fdata()
    assert values.min() >= -1000.01
    assert values.max() <= 1000.01
    assert (output / "turned_panel.png").stat().st_size > 5_000
    if deform == "false":
        clipped = original.get_fdata().clip(-1000, 1000)
        assert np.corrcoef(values.ravel(), clipped.ravel())[0, 1] > 0.5, "the restored scan must follow the original"
    else:
        assert (output / "turned_deformed.nii.gz").exists()


def test_weights_of_another_network_are_refused_with_the_remedy(pretrained, turned_scan, tmp_path):
    settings = {"dataset_dir": turned_scan.parent, "output_dir": tmp_path / "out"}
    settings["ckpt_path"] = pretrained / "checkpoints" / "model.pt"
    process = start("run", "inferring", "--config_file", "configs/inference.yaml", *arguments(**settings))
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "--network_def::features '[4, 8]'" in output
