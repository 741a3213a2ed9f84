"""Every configuration, and every combination that the docs name, holds what MONAI requires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.utils import optional_import

PRETRAIN_OVERLAYS = (
    "quickstart",
    "optimizer_adamw",
    "ema",
    "multi_gpu",
    "data_mr",
    "data_zscore",
    "data_luna16",
)
RUNS = [
    ("train", "training", ["pretrain"]),
    *(("train", "training", ["pretrain", overlay]) for overlay in PRETRAIN_OVERLAYS),
    ("inference", "inferring", ["inference"]),
]


def targets(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if "_target_" in config:
            yield config["_target_"]
        for value in config.values():
            yield from targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from targets(value)


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")


@pytest.mark.parametrize(
    ("kind", "run_id", "names"), RUNS, ids=lambda value: "+".join(value) if isinstance(value, list) else ""
)
def test_configuration_is_complete(kind, run_id, names):
    files = [f"configs/{name}.yaml" for name in names]
    workflow = ConfigWorkflow(config_file=files, workflow_type=kind, run_id=run_id)
    assert workflow.check_properties() == []
    for step in ("initialize", run_id, "run"):
        assert step in workflow.parser, step
    locator = ComponentLocator()
    for target in set(targets(workflow.parser.get())):
        if "." in target:
            module, *rest = target.split(".")
            found = __import__(module)
            for position, name in enumerate(rest):
                try:
                    found = getattr(found, name)
                except AttributeError:
                    __import__(".".join([module, *rest[: position + 1]]))
                    found = getattr(found, name)
            assert callable(found), target
        else:
            assert locator.get_component_module_name(target), target


def test_every_configuration_is_tested(root):
    entries = {"pretrain", "inference"}
    assert {path.stem for path in (root / "configs").glob("*.yaml")} == entries | set(PRETRAIN_OVERLAYS)


def test_metadata_is_the_same_in_both_places_and_of_this_version(root):
    from models_genesis_bundle import __version__

    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    assert json.loads((root / "metadata.json").read_text()) == metadata
    assert metadata["version"] == __version__
    assert __version__ in metadata["changelog"]


def test_metadata_follows_the_schema(root):
    schema_path = root.parent / "shared" / "reference" / "meta_schema_20240725.json"
    jsonschema, available = optional_import("jsonschema")
    if not available or not schema_path.exists():
        pytest.skip("needs jsonschema and the schema file beside the repository")
    jsonschema.validate(json.loads((root / "metadata.json").read_text()), json.loads(schema_path.read_text()))
