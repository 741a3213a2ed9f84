"""2D pretraining as a user runs it, on slices of volumes and on flat images, and what its weights start."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundle_commands import arguments, root_cause, run_here
from models_genesis_bundle.data import phantom_candidates
from models_genesis_bundle.data.volumes.item_folder import Journal
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.weights import read_weights
from PIL import Image
from scan_writers import truncate, write_radiograph

SPATIAL_2D = "configs/spatial_2d.yaml"
XRAY = (SPATIAL_2D, "configs/data_xray.yaml")
NARROW = {"network_def::features": "[4,8]", "precision": "float32"}
SLICES = {"cube_size": "[32,32]", "cubes_per_scan": 16, "batch_size": 8}


def run(run_id: str, config: str, *overlays: str, **settings) -> None:
    files = [f"configs/{name}.yaml" for name in (config, *overlays)]
    run_here("run", run_id, "--config_file", str(files), *arguments(**NARROW, **settings))


def restore(weights: Path, dataset_dir: Path, output_dir: Path, **settings) -> None:
    run("inferring", "inference", ckpt_path=weights, dataset_dir=dataset_dir, output_dir=output_dir, **settings)


@pytest.fixture(scope="module")
def pretrained_2d(pretrain, tmp_path_factory) -> Path:
    """A run on axial slices of the phantoms, two epochs and then two more."""
    output_dir = tmp_path_factory.mktemp("pretrained_2d")
    pretrain(output_dir, SPATIAL_2D, **SLICES)
    pretrain(output_dir, SPATIAL_2D, max_epochs=4, resume="true", **SLICES)
    return output_dir


@pytest.fixture(scope="module")
def radiographs(phantoms, tmp_path_factory) -> Path:
    """The phantoms seen from the front, two as PNG, two as DICOM; and three files that are no radiographs."""
    folder = tmp_path_factory.mktemp("radiographs")
    for number, file in enumerate(sorted((phantoms / "images").iterdir())):
        view = nibabel.load(file).get_fdata().mean(axis=1).T[::-1, ::-1]
        if number < 2:
            Image.fromarray(((view + 1000) / 6).clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        else:
            write_radiograph(folder / f"{number}.dcm", view.astype(np.int16))
    Image.fromarray((view % 256).astype(np.uint8)).save(folder / "cut.png")
    truncate(folder / "cut.png")
    write_radiograph(folder / "frames.dcm", np.stack([view % 256] * 2).astype(np.uint8))
    nibabel.save(nibabel.load(file), folder / "volume.nii.gz")
    return folder


@pytest.fixture(scope="module")
def pretrained_xray(pretrain, radiographs, tmp_path_factory) -> Path:
    output_dir = tmp_path_factory.mktemp("pretrained_xray")
    pretrain(output_dir, *XRAY, dataset_dir=radiographs, max_epochs=1, **{"split::validation_fraction": 0.15}, **SLICES)
    return output_dir


def test_slices_train_a_2d_network_with_all_that_3d_leaves(pretrained_2d):
    lines = read_metrics(pretrained_2d / "metrics.csv")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert len({line["identity_mse"] for line in lines}) == 1
    assert min(line["val_mse"] for line in lines) < 0.7 * lines[0]["identity_mse"]
    assert lines[0]["cubes_per_second"] > 0
    weights = read_weights(pretrained_2d / "checkpoints" / "model.pt")
    assert weights["network"]["arguments"]["spatial_dims"] == 2
    assert weights["cube_size"] == [32, 32]
    assert weights["preprocessing"]["spatial_dims"] == 3, "its scans are volumes"
    assert weights["data"]["settings"]["sampler"]["cube_size"] == [32, 32, 1]
    assert (pretrained_2d / "panels" / "epoch_0001.png").stat().st_size > 10_000


def test_3d_sizes_on_flat_images_are_refused(pretrain, radiographs, tmp_path):
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path, *XRAY, dataset_dir=radiographs, cube_size="[32,32,16]")
    assert "cube_size (32, 32, 16) does not fit spatial_dims=2" in str(root_cause(raised.value))


@pytest.mark.parametrize("deform", ["False", "True"])
def test_a_volume_is_restored_slice_by_slice_in_its_own_geometry(pretrained_2d, phantoms, tmp_path, deform):
    scan = sorted((phantoms / "images").iterdir())[0]
    restore(pretrained_2d / "checkpoints" / "model.pt", scan, tmp_path, deform=deform)
    original, restored = nibabel.load(scan), nibabel.load(tmp_path / "phantom_000_restored.nii.gz")
    assert restored.shape == original.shape
    np.testing.assert_allclose(restored.affine, original.affine, atol=1e-4)
    assert (tmp_path / "phantom_000_panel.png").stat().st_size > 5_000
    if deform == "True":
        deformed = nibabel.load(tmp_path / "phantom_000_deformed.nii.gz").get_fdata()
        changed = deformed != original.get_fdata().clip(-1000, 1000)
        assert changed.any(axis=(0, 1)).mean() > 0.9, "slices are deformed, each on its own"


def test_segmentation_of_volumes_starts_from_the_2d_weights(pretrained_2d, phantoms, tmp_path):
    overlay = "network_slicewise_genesis"
    run("training", "finetune_segmentation", overlay, dataset_dir=phantoms, label_names="['lung','nodule']",
        patch_size="[32,32,8]", initial_weights=pretrained_2d / "checkpoints" / "model.pt", max_epochs=1,
        panel_interval=1, output_dir=tmp_path / "run")  # fmt: skip
    weights = read_weights(tmp_path / "run" / "checkpoints" / "model.pt")
    transfer = weights["initial_weights"]["transfer"]
    assert list(transfer["encoder"]) == list(transfer["decoder"]) == ["loaded"]
    run("evaluating", "evaluate", overlay, dataset_dir=phantoms, output_dir=tmp_path / "scores",
        ckpt_path=tmp_path / "run" / "checkpoints" / "model.pt")  # fmt: skip
    assert json.loads((tmp_path / "scores" / "summary.json").read_text())["cases"] == 1


def test_classification_of_slices_starts_from_the_2d_weights(pretrained_2d, phantoms, tmp_path):
    data = {"dataset_dir": phantoms / "images", "candidates_file": phantom_candidates(phantoms)}
    small = {"network_def::hidden": 8, "volumes::num_workers": 0, **data}
    run("training", "finetune_classification", cube_size="[16,16]", max_epochs=1, output_dir=tmp_path / "run",
        initial_weights=pretrained_2d / "checkpoints" / "model.pt", **small)  # fmt: skip
    weights = tmp_path / "run" / "checkpoints" / "model.pt"
    assert list(read_weights(weights)["initial_weights"]["transfer"]["encoder"]) == ["loaded"]
    run(
        "evaluating",
        "evaluate_classification",
        ckpt_path=weights,
        output_dir=tmp_path / "scores",
        **{"report::resamples": 50},
        **small,
    )
    assert json.loads((tmp_path / "scores" / "summary.json").read_text())


def test_radiographs_train_and_other_files_are_left_out_by_name(pretrained_xray):
    weights = read_weights(pretrained_xray / "checkpoints" / "model.pt")
    assert weights["preprocessing"]["spatial_dims"] == 2
    assert weights["data"]["cubes"] == 16 * weights["data"]["scans"]
    (index,) = (pretrained_xray / "cache").glob("volumes-*/index.jsonl")
    said = {Path(path).name: record["reason"] for path, record in Journal(index).read().items() if "rule" in record}
    assert set(said) == {"cut.png", "frames.dcm", "volume.nii.gz"}
    assert "truncated or damaged" in said["cut.png"]
    assert "2 slices, frames or colours" in said["frames.dcm"]
    assert "volumes need spatial_dims=3" in said["volume.nii.gz"]
    assert (pretrained_xray / "panels" / "epoch_0001.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["0.png", "3.dcm"])
def test_radiographs_are_restored(pretrained_xray, radiographs, tmp_path, name):
    restore(pretrained_xray / "checkpoints" / "model.pt", radiographs / name, tmp_path, deform="True")
    for result in ("restored", "deformed"):
        image = nibabel.load(tmp_path / f"{name[0]}_{result}.nii.gz").get_fdata().squeeze()
        assert image.shape == (64, 48)
    assert (tmp_path / f"{name[0]}_panel.png").stat().st_size > 5_000
