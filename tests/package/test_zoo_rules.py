"""What the model zoo asks of a bundle, by its published contribution rules, on the unpacked archive."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from models_genesis_bundle.weights import read_weights
from monai.bundle import ConfigParser, download_large_files, verify_metadata

LARGEST_NEW_FILE = 2**20  # bytes of a file in a pull request, by its pre-commit hooks
CHECK_WORKFLOW = """
def check_workflow(workflow, check_properties=False):
    workflow.initialize()
    assert not check_properties or workflow.check_properties() == [], workflow.check_properties()
    workflow.run()
    workflow.finalize()
"""  # as the zoo's ci/unit_tests/utils.py does
LARGEST_FILE = 25 * 2**20  # bytes that the zoo takes into its repository
REQUIRED_METADATA = {
    "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "required_packages_version",
    "task", "description", "authors", "copyright", "network_data_format", "intended_use", "references", "data_source",
    "name", "eval_metrics",
}  # fmt: skip


@pytest.fixture(scope="module")
def metadata(bundle) -> dict:
    return json.loads((bundle / "configs" / "metadata.json").read_text())


@pytest.mark.parametrize(
    "file",
    [
        "LICENSE",
        "configs/metadata.json",
        "configs/inference.json",
        "configs/train.json",
        "configs/multi_gpu_train.json",
        "configs/inference_trt.json",
        "configs/logging.conf",
        "models/model.pt",
        "docs/README.md",
        "docs/data_license.txt",
        "large_files.yml",
    ],
)
def test_necessary_and_preferred_files_are_there(bundle, file):
    assert (bundle / file).stat().st_size


def test_no_file_is_too_large_for_the_zoo(bundle):
    assert not [path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size > LARGEST_FILE]


def test_the_zoo_installs_what_the_package_imports(root, metadata):
    """It reads the packages from the metadata alone."""
    needed = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in needed} - {"monai", "torch", "numpy"}
    assert names == set(metadata["required_packages_version"])


def test_the_scores_are_those_that_the_weights_record(bundle, metadata):
    measured = read_weights(bundle / "models" / "model.pt").get("metrics", {})
    if not measured:
        pytest.skip("there are no trained weights here")
    assert metadata["eval_metrics"] == {name: round(measured[name], 4) for name in metadata["eval_metrics"]}


@pytest.mark.parametrize(("weights", "card"), [("model.pt", "model_card.md"), ("model_mr.pt", "model_card_mr.md")])
def test_a_model_card_names_the_hash_and_the_licence_of_its_weights(root, weights, card):
    path, text = root / "models" / weights, (root / "docs" / "reference" / card).read_text()
    if not path.is_file():
        pytest.skip("there are no trained weights here")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert read_weights(path)["licence"].replace("-", " ").replace("CC BY SA", "CC BY-SA") in text
    assert f"`{weights}`" in (root / "models" / "README.md").read_text()


def test_version_and_fields_of_the_metadata(metadata, maker):
    assert set(metadata) >= REQUIRED_METADATA
    assert metadata["version"] == maker.__version__
    assert metadata["version"] in metadata["changelog"]


def test_metadata_passes_monai_s_check(bundle, metadata_schema):
    """It asks for the address that the metadata name, unless the file is there."""
    pytest.importorskip("jsonschema")
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(metadata_schema))


def test_network_data_format_is_that_of_the_weights(bundle, metadata):
    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle)
    network = parser.get_parsed_content("network_def")
    described = metadata["network_data_format"]
    channels = described["inputs"]["image"]["num_channels"], described["outputs"]["pred"]["num_channels"]
    assert channels == (1, network.head.out_channels)
    for side in described["inputs"]["image"], described["outputs"]["pred"]:
        assert len(side["channel_def"]) == side["num_channels"]
        assert tuple(side["value_range"]) == tuple(parser.get_parsed_content("value_range"))


@pytest.mark.parametrize("file", ["train", "inference", "evaluate"])
def test_configs_have_the_keys_that_the_zoo_expects(bundle, file):
    config = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / f"{file}.json"))
    for key in ("bundle_root", "device", "dataset_dir", "output_dir", "network_def"):
        assert key in config
    assert ("train::inferer" if file == "train" else "inferer") in config


@pytest.fixture(scope="module")
def published(root, archive, tmp_path_factory) -> Path:
    """What goes to the Hub and to the zoo."""
    folder = tmp_path_factory.mktemp("published")
    make_zoo_folders = runpy.run_path(str(root / "scripts" / "make_zoo_folders.py"))["make_zoo_folders"]
    make_zoo_folders(str(archive), "owner", str(folder))
    with pytest.raises(SystemExit, match="this folder exists already"):
        make_zoo_folders(str(archive), "owner", str(folder))
    return folder


def test_the_hub_gets_the_bundle_and_a_card(published, bundle):
    _, data, text = (published / "hub" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(data)["library_name"] == "monai"
    assert text == (bundle / "README.md").read_text()
    files = {path.relative_to(bundle) for path in bundle.rglob("*")}
    made_by_tests = {path for path in files if {"__pycache__", "runs"} & set(path.parts)}
    assert files - made_by_tests - {path.relative_to(published / "hub") for path in published.glob("hub/**/*")} == set()


def test_the_pull_request_names_the_weights_on_the_hub(published, bundle, maker):
    folder = published / "model-zoo" / "models" / maker.NAME
    listed = yaml.safe_load((folder / "large_files.yml").read_text())["large_files"]
    assert {weights["path"] for weights in listed} == {f"models/{file.name}" for file in bundle.glob("models/*.pt")}
    for weights in listed:
        address = f"https://huggingface.co/owner/{maker.NAME}/resolve/{maker.__version__}/{weights['path']}"
        assert (weights["url"], weights["hash_type"]) == (address, "sha256")
        assert weights["hash_val"] == hashlib.sha256((bundle / weights["path"]).read_bytes()).hexdigest()
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > LARGEST_NEW_FILE]


def test_the_zoo_s_unit_test_passes(published, bundle, maker, without_checkout, tmp_path):
    """It trains, evaluates and restores scans in a folder like a checkout of the zoo, without this checkout."""
    zoo = shutil.copytree(published / "model-zoo", tmp_path / "zoo")
    for weights in bundle.glob("models/*.pt"):
        shutil.copy(weights, zoo / "models" / maker.NAME / "models")
    (zoo / "ci" / "unit_tests" / "utils.py").write_text(CHECK_WORKFLOW)
    without_checkout(zoo, f"ci/unit_tests/test_{maker.NAME}.py")


def test_large_files_need_no_licence(bundle, monkeypatch):
    """MONAI downloads what the list names without asking; the published weights need their licence accepted."""
    monkeypatch.setattr(
        "monai.bundle.scripts.download_url", lambda **file: pytest.fail(f"would download {file['url']}")
    )
    download_large_files(str(bundle))
