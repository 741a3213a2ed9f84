"""Every configuration, and every combination that the docs name, holds what MONAI requires."""

from __future__ import annotations

import json
import pydoc
import socket
from pathlib import Path
from typing import Any

import pytest
from config_runs import NETWORK_WIDTHS, RUNS, targets
from miniature_data import luna16_folders, radiographs
from models_genesis_bundle.data import ScanPreprocessing, phantom_candidates
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import write_weights
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.config_item import ComponentLocator


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")


@pytest.fixture
def one_process_group(monkeypatch):
    """What ``torchrun`` tells a process, for a group of one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture(scope="module")
def segmentation_weights(tmp_path_factory):
    """A weight file as fine-tuning writes it."""
    records = {
        "preprocessing": ScanPreprocessing().record(),
        "label_names": ["lung", "nodule"],
        "label_map": None,
        "patch_size": [32, 32, 32],
        "split": {},
    }
    network = GenesisUNet(features=(4, 8), out_channels=3, output_activation=None)
    return write_weights(tmp_path_factory.mktemp("weights") / "model.pt", network, **records)


@pytest.fixture(scope="module")
def classification_weights(tmp_path_factory):
    """A weight file as fine-tuning writes it."""
    records = {
        "preprocessing": ScanPreprocessing().record(),
        "class_names": ["healthy", "ill"],
        "positive_class": 1,
        "cube_size": [16, 16, 16],
        "metrics": {},
        "split": {"seed": 0},
    }
    network = GenesisClassifier(features=(4, 8), hidden=8)
    return write_weights(tmp_path_factory.mktemp("weights") / "model.pt", network, **records)


@pytest.fixture
def restoring_weights(tmp_path):
    """Writes a weight file as the pretraining of an overlay's network writes it."""

    def write(overlay: str) -> Path:
        config = ConfigParser(config=ConfigParser.load_config_file(f"configs/{overlay}.yaml"))
        config.update({"in_channels": 1, "out_channels": 1, **NETWORK_WIDTHS[overlay]})
        network = config.get_parsed_content("network_def")
        return write_weights(tmp_path / "model.pt", network, preprocessing=ScanPreprocessing().record())

    return write


@pytest.fixture
def settings(phantoms, pretrained, restoring_weights, segmentation_weights, classification_weights, tmp_path):
    """Small settings of a run, and its data: phantoms, or LUNA16's folders with a phantom in each."""

    def choose(names: list[str]) -> dict[str, Any]:
        chosen = {
            "network_def::features": [4, 8],
            "cube_size": [32, 32, 16],
            "dataset_dir": str(phantoms / "images"),
            "output_dir": str(tmp_path / "run"),
        }
        if network := next((name for name in names[1:] if name in NETWORK_WIDTHS), None):
            del chosen["network_def::features"]
            chosen |= {**NETWORK_WIDTHS[network], "cube_size": [64, 32, 32]}
        if names[0].startswith("finetune_"):
            chosen["initial_weights"] = "none"
        if names[0] in ("inference", "embed") and network:
            return {**chosen, "ckpt_path": str(restoring_weights(network))}
        if names[0] in ("inference", "embed"):
            return {**chosen, "ckpt_path": str(pretrained / "checkpoints" / "model.pt")}
        if names[0].endswith("_classification"):
            chosen |= {
                "network_def::hidden": 8,
                "candidates_file": phantom_candidates(phantoms),
                "volumes::num_workers": 0,
            }
            if names[0] != "finetune_classification":
                return {**chosen, "ckpt_path": str(classification_weights)}
            few = {"split::layout": "folder", "split::validation_fraction": 1, "split::test_fraction": 1}
            return {**chosen, **few, "cube_size": [16, 16, 16]}
        if names[0] == "inference_segmentation":
            return {**chosen, "ckpt_path": str(segmentation_weights)}
        if names[0] == "evaluate":
            return {**chosen, "dataset_dir": str(phantoms), "ckpt_path": str(segmentation_weights)}
        if names[0] == "finetune_segmentation":
            if network is None and any(name.startswith("network_") for name in names):
                del chosen["network_def::features"]
            few = {
                "split::layout": "json",
                "split::validation_fraction": 1,
                "split::test_fraction": 1,
                "prepared_scans::cache_rate": 0.0,
            }
            if "network_slicewise_imagenet" in names:
                few["network_def::pretrained"] = False
            # The phantoms are read: their own labels whatever the classes of the task, and as few voxels as they have.
            few |= {"labelled_preprocessing::num_classes": 256, "scan_preprocessing::spacing": None}
            if {"task_lcs", "task_bms"} & set(names):
                few |= {"split::image_pattern": None, "split::label_pattern": None}
            return {**chosen, **few, "dataset_dir": str(phantoms), "patch_size": [64, 32, 32]}
        if "data_luna16" in names:
            chosen |= {
                "dataset_dir": str(luna16_folders(phantoms, tmp_path)),
                "cube_sampler::margin": 0,
                "cube_size": [16, 16, 16],
            }
        if "spatial_2d" in names:
            chosen["cube_size"] = chosen["cube_size"][:2]
        if "data_xray" in names:
            chosen["dataset_dir"] = str(radiographs(tmp_path / "radiographs"))
        return {**chosen, "cubes_per_scan": 2, "volumes::num_workers": 0, "num_workers": 0}

    return choose


@pytest.mark.parametrize(
    ("kind", "run_id", "names"), RUNS, ids=lambda value: "+".join(value) if isinstance(value, list) else ""
)
def test_configuration_is_complete(kind, run_id, names, settings, one_process_group):
    """Each target can be imported, each part built; MONAI's required and optional ids are there."""
    files = [f"configs/{name}.yaml" for name in names]
    workflow = ConfigWorkflow(config_file=files, workflow_type=kind, run_id=run_id, **settings(names))
    locator = ComponentLocator()
    for target in set(targets(workflow.parser.get())):
        assert pydoc.locate(target) if "." in target else locator.get_component_module_name(target), target
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
        for step in ("initialize", run_id, "run"):
            assert step in workflow.parser, step
    finally:
        workflow.finalize()


def test_every_configuration_is_tested(root):
    tested = {name for _, _, names in RUNS for name in names}
    tested.add("inference_trt")  # imports TensorRT: tests/package/test_routes.py
    tested.add("plan")  # neither training nor inference: tests/planning/test_run.py
    tested |= {"segmentation_bundle_inference", "segmentation_bundle_train"}  # tests/package/test_label_deploy.py
    assert {path.stem for path in (root / "configs").glob("*.yaml")} == tested


def test_metadata_is_the_same_in_both_places_and_of_this_version(root):
    from models_genesis_bundle import __version__

    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    assert json.loads((root / "metadata.json").read_text()) == metadata
    assert metadata["version"] == __version__
    assert __version__ in metadata["changelog"]


def test_metadata_follows_the_schema(root, metadata_schema):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads((root / "metadata.json").read_text()), json.loads(metadata_schema.read_text()))
