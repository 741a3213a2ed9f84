"""Inference as a user runs it: restored scans in the geometry of the originals."""

from __future__ import annotations

import gc
import re

import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import arguments, root_cause, run_here
from models_genesis_bundle.data import ScanPreprocessing, SkippedScansError
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import write_weights
from scan_writers import truncate, write_scan


@pytest.fixture
def turned_scan(phantoms, tmp_path):
    """A phantom stored with other axes than RAS, and not divisible by the window."""
    image = nibabel.load(sorted((phantoms / "images").glob("*.nii.gz"))[0])
    turned = image.slicer[5:, :, 3:].as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
    folder = tmp_path / "scans"
    folder.mkdir()
    nibabel.save(turned, folder / "turned.nii.gz")
    return folder / "turned.nii.gz"


@pytest.fixture
def passing_through(tmp_path):
    """Weights of a network whose output is the sigmoid of its input, so that places can be compared."""
    network = GenesisUNet(features=(4, 8))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv3d):
                module.weight.zero_()
                module.bias.zero_()
                skip = 8 if module.in_channels == 12 else 0
                module.weight[(0, skip, *(side // 2 for side in module.kernel_size))] = 1
    return write_weights(tmp_path / "passing.pt", network, preprocessing=ScanPreprocessing().record())


@pytest.mark.parametrize("deform", ["False", "True"])
def test_restored_scans_lie_where_the_originals_do(passing_through, turned_scan, tmp_path, deform):
    output = tmp_path / "restored"
    settings = {
        "cube_size": "[32,32,16]", "precision": "float32", "deform": deform,
        "dataset_dir": turned_scan.parent, "output_dir": output, "ckpt_path": passing_through,
    }  # fmt: skip
    run_here("run", "inferring", "--config_file", "configs/inference.yaml", *arguments(**settings))
    original, restored = nibabel.load(turned_scan), nibabel.load(output / "turned_restored.nii.gz")
    assert restored.shape == original.shape
    np.testing.assert_allclose(restored.affine, original.affine, atol=1e-4)
    values = restored.get_fdata()
    assert values.min() >= -1000.01
    assert values.max() <= 1000.01
    assert (output / "turned_panel.png").stat().st_size > 5_000
    if deform == "False":
        clipped = original.get_fdata().clip(-1000, 1000)
        assert np.corrcoef(values.ravel(), clipped.ravel())[0, 1] > 0.95, "the restored scan must follow the original"
    else:
        assert (output / "turned_deformed.nii.gz").exists()


def test_results_mirror_the_scans_and_another_start_does_what_is_left(passing_through, tmp_path):
    """The results lie among the scans, and are not taken for scans."""
    voxels = np.random.default_rng(0).normal(0, 200, (16, 16, 8)).astype(np.int16)
    scans = [write_scan(tmp_path / "scans" / patient / "ct.nii.gz", voxels) for patient in ("ana", "ben", "eva")]
    truncate(scans[1])
    output = tmp_path / "scans" / "results"

    def written():
        return {path.parent.name: path.stat().st_mtime_ns for path in output.rglob("ct_restored.nii.gz")}

    def restore(**settings):
        settings |= {"dataset_dir": tmp_path / "scans", "output_dir": output, "ckpt_path": passing_through}
        words = arguments(**{"cube_size": "[16,16,8]", "precision": "float32", "device": "cpu", **settings})
        run_here("run", "inferring", "--config_file", "configs/inference.yaml", *words)

    with pytest.raises(RuntimeError) as raised:
        restore()
    error = root_cause(raised.value)
    assert isinstance(error, SkippedScansError)
    assert re.search(
        r"1 of 3 scans .*\n.*ben/ct\.nii\.gz: it cannot be read .*\nThe results of the other 2", str(error)
    )
    del raised, error
    gc.collect()  # the traceback holds the run, and the run its folder's lock
    assert [path.parent.name for path in sorted(output.rglob("ct_panel.png"))] == ["ana", "eva"]
    before = written()
    write_scan(scans[1], voxels)
    restore(sw_batch_size=1)
    after = written()
    assert after.keys() == {"ana", "ben", "eva"}
    assert before == {"ana": after["ana"], "eva": after["eva"]}, "what was there already stays"


def test_weights_of_another_network_are_refused_with_the_remedy(pretrained, turned_scan, tmp_path):
    settings = {"dataset_dir": turned_scan.parent, "output_dir": tmp_path / "out"}
    settings |= {"ckpt_path": pretrained / "checkpoints" / "model.pt", "network_def::features": "[8,16]"}
    with pytest.raises(RuntimeError) as raised:
        run_here("run", "inferring", "--config_file", "configs/inference.yaml", *arguments(**settings))
    assert "--network_def::features '[4, 8]'" in str(root_cause(raised.value))
