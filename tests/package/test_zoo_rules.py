"""What the model zoo asks of a bundle, by its published contribution rules, on the unpacked archive."""

from __future__ import annotations

import json

import pytest
import yaml
from monai.bundle import ConfigParser, download_large_files, verify_metadata

LARGEST_FILE = 25 * 2**20  # bytes that the zoo takes into its repository
REQUIRED_METADATA = {
    "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "required_packages_version",
    "task", "description", "authors", "copyright", "network_data_format", "intended_use", "references", "data_source",
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


def test_large_files_need_no_licence(bundle, monkeypatch):
    """MONAI downloads what the list names without asking; the published weights need their licence accepted."""
    monkeypatch.setattr(
        "monai.bundle.scripts.download_url", lambda **file: pytest.fail(f"would download {file['url']}")
    )
    download_large_files(str(bundle))


def test_published_files_have_the_zoo_s_fields_and_the_addresses_of_the_package(bundle):
    from models_genesis_bundle.weights.published.download import BASE_URL, PUBLISHED_FILES

    published = yaml.safe_load((bundle / "large_files.yml").read_text())["published_weights"]
    assert {entry["url"] for entry in published} == {f"{BASE_URL}/{name}" for name in PUBLISHED_FILES}
    assert all(set(entry) == {"path", "url", "hash_val", "hash_type"} for entry in published)
