"""A fine-tuned segmentation as a bundle of its own: whole, self-contained, and as MONAI Label and MONAI Deploy read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import monai.bundle
import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import ROOT
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.export import ExportError, make_segmentation_bundle
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import CheckpointError, read_weights, write_weights
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.data import MetaTensor, load_net_with_metadata
from monai.networks.nets import DynUNet
from monai.utils import set_determinism

RECORDS = {"label_names": ["lung", "nodule"], "patch_size": [32, 32, 16], "label_map": None, "split": {}}


def fine_tuned(path: Path, network: torch.nn.Module | None = None, **records) -> Path:
    """A weight file as fine-tuning writes it."""
    torch.manual_seed(0)
    if network is None:  # normalised in each window, so that random weights find each class somewhere
        network = GenesisUNet(features=(4, 8), out_channels=3, norm="instance", output_activation=None)
        torch.nn.init.normal_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
    given = {"preprocessing": ScanPreprocessing(spacing=6.0).record(), **RECORDS, **records}
    return write_weights(path, network, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("handed_over")
    return make_segmentation_bundle(fine_tuned(place / "model.pt"), place / "lung_segmentation", ROOT)


@pytest.fixture(scope="module")
def scan(phantoms) -> Path:
    return phantoms / "images" / "phantom_000.nii.gz"


@pytest.fixture(scope="module")
def segmented(folder, scan, no_checkout, tmp_path_factory) -> np.ndarray:
    """The scan's label map, from the folder alone."""
    output_dir = tmp_path_factory.mktemp("segmented")
    words = [
        "run",
        "--config_file",
        "configs/inference.json",
        "--dataset_dir",
        str(scan),
        "--output_dir",
        str(output_dir),
    ]
    command = [sys.executable, "-m", "monai.bundle", *words]
    done = subprocess.run(command, cwd=folder, env=no_checkout, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.asarray(nibabel.load(output_dir / "phantom_000_segmentation.nii.gz").dataobj)


def test_it_segments_without_the_checkout(segmented, scan):
    assert segmented.shape == nibabel.load(scan).shape
    assert len(np.unique(segmented)) > 1, "else the comparisons below would tell little"


@pytest.mark.parametrize(("kind", "data"), [("train", "."), ("inference", "images")])
def test_its_configurations_hold_what_monai_requires(folder, phantoms, kind, data, tmp_path):
    configs = folder / "configs"
    settings = {"bundle_root": str(folder), "dataset_dir": str(phantoms / data), "output_dir": str(tmp_path)}
    workflow = ConfigWorkflow(
        str(configs / f"{kind}.json"), str(configs / "metadata.json"), workflow_type=kind, **settings
    )
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
    finally:
        set_determinism(None)


def test_the_network_fits_the_metadata(folder):
    configs = folder / "configs"
    monai.bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
    )
    metadata = json.loads((configs / "metadata.json").read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "background",
        "1": "lung",
        "2": "nodule",
    }
    assert metadata["version"] in metadata["changelog"]


def test_the_torchscript_file_alone_segments_as_the_folder_does(folder, segmented, scan):
    """As MONAI Deploy does: it gives the voxels itself, and takes all else from the files inside."""
    network, metadata, files = load_net_with_metadata(
        folder / "models" / "model.ts", more_extra_files=("inference.json",)
    )
    config = ConfigParser(json.loads(files["inference.json"]))
    assert metadata["network_data_format"]["inputs"]["image"]["num_channels"] == 1
    assert not [
        item for item in ("preprocessing", "inferer", "postprocessing") if "models_genesis" in str(config[item])
    ]
    preprocessing, inferer, postprocessing = map(
        config.get_parsed_content, ("scan_preprocessing", "inferer", "postprocessing")
    )
    assert "models_genesis" not in str(config["scan_preprocessing"])
    preprocessing.transforms = preprocessing.transforms[1:]
    postprocessing.transforms = [one for one in postprocessing.transforms if type(one).__name__ != "SaveImaged"]
    file = nibabel.load(scan)
    meta = {"affine": file.affine, "original_channel_dim": "no_channel"}
    voxels = MetaTensor(torch.as_tensor(file.get_fdata(), dtype=torch.int16), meta=meta)
    item = preprocessing({"image": voxels})
    with torch.no_grad():
        item["pred"] = inferer(item["image"][None], network.eval())[0]
    assert np.array_equal(postprocessing(item)["pred"][0].numpy(), segmented)


def label_request(folder: Path, phantoms: Path) -> dict:
    """What MONAI Label hands to ``monai.bundle.run`` for two labelled scans and one to validate with."""
    names = [f"phantom_{number:03d}.nii.gz" for number in range(3)]
    scans = [{"image": str(phantoms / "images" / name), "label": str(phantoms / "labels" / name)} for name in names]
    config = ConfigParser.load_config_file(folder / "configs" / "train.json")
    loader = {
        "_target_": "CheckpointLoader",
        "load_path": str(folder / "models" / "model.pt"),
        "load_dict": {"model": "$@network"},
        "strict": False,
    }
    return {
        "bundle_root": str(folder),
        "device": "cpu",
        "train#trainer#max_epochs": 1,
        "train#dataset#data": scans[:2],
        "validate#dataset#data": scans[2:],
        "train#handlers": [loader, *config["train"]["handlers"]],
    }


def test_it_trains_as_monai_label_calls_it(folder, phantoms, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = read_weights(copy / "models" / "model.pt")
    with mock.patch.object(sys, "path", [str(copy), *sys.path]), mock.patch.object(sys, "argv", ["monailabel"]):
        monai.bundle.run(
            run_id="run",
            init_id=None,
            final_id=None,
            meta_file=str(copy / "configs" / "metadata.json"),
            config_file=str(copy / "configs" / "train.json"),
            **label_request(copy, phantoms),
        )
    set_determinism(None)
    after = read_weights(copy / "models" / "model.pt")
    assert after["initial_weights"]["transfer"]["head"]["loaded"]["tensors"] == 2, "training goes on from all weights"
    assert not torch.equal(before["model"]["head.weight"], after["model"]["head.weight"])
    assert after["data"]["patients"] == 2, "MONAI Label's own lists are trained on, not phantoms of the bundle"
    assert after["preprocessing"] == before["preprocessing"]
    assert sorted(path.name for path in (copy / "models").iterdir()) == ["model.pt", "model.ts"], (
        "Label offers each *.pt"
    )


def test_monai_label_infers(folder, segmented, scan):
    bundle = pytest.importorskip(
        "monailabel.tasks.infer.bundle", reason="needs MONAI Label, which the tests do not install"
    )
    task = bundle.BundleInferTask(str(folder), {})
    assert task.info()["labels"] == {"lung": 1, "nodule": 2}
    file, _ = task({"image": str(scan), "device": "cpu", "model": folder.name})
    assert np.array_equal(np.asarray(nibabel.load(file).dataobj), segmented)


def test_a_network_whose_arguments_are_not_in_the_file_needs_its_configuration(tmp_path):
    blocks = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [4, 4, 4]}
    config = {
        "network_def": {"_target_": "DynUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": "@out_channels"}
    }
    config["network_def"].update(blocks)
    ConfigParser.export_config_file(config, str(tmp_path / "config.yaml"), fmt="yaml")
    weights = fine_tuned(tmp_path / "model.pt", DynUNet(3, 1, 3, **blocks))
    with pytest.raises(ExportError, match="network_config"):
        make_segmentation_bundle(weights, tmp_path / "none", ROOT)
    made = make_segmentation_bundle(weights, tmp_path / "made", ROOT, tmp_path / "config.yaml")
    assert (made / "models" / "model.ts").stat().st_size > 10_000


def test_what_cannot_be_handed_over_leaves_nothing(tmp_path):
    restoring = write_weights(tmp_path / "restoring.pt", GenesisUNet(features=(4, 8)))
    with pytest.raises(ExportError, match="label_names"):
        make_segmentation_bundle(restoring, tmp_path / "out", ROOT)
    config = tmp_path / "other.json"
    config.write_text(json.dumps({"network_def": {"_target_": "BasicUNet", "out_channels": "@out_channels"}}))
    with pytest.raises(CheckpointError, match="another network"):
        make_segmentation_bundle(fine_tuned(tmp_path / "model.pt"), tmp_path / "out", ROOT, config)
    slicewise = {"_target_": "models_genesis_bundle.networks.SlicewiseGenesisUNet", "features": [4, 8]}
    config.write_text(json.dumps({"network_def": {**slicewise, "out_channels": "@out_channels"}}))
    parser = ConfigParser({**json.loads(config.read_text()), "out_channels": 3})
    weights = fine_tuned(tmp_path / "slices.pt", parser.get_parsed_content("network_def"))
    with pytest.raises(ExportError, match="--torchscript False"):
        make_segmentation_bundle(weights, tmp_path / "out", ROOT, config)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine")
    with pytest.raises(ExportError, match="the folder is not empty"):
        make_segmentation_bundle(tmp_path / "model.pt", tmp_path / "full", ROOT)
    assert (tmp_path / "full" / "kept.txt").read_text() == "mine"
