"""MONAI's download puts the bundle in place: from an address, a release on GitHub, the Hugging Face Hub and the model zoo."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from bundle_commands import finish, run_here, start
from hub_server import HubHandler
from local_server import answering
from monai.bundle import download

NAME = "models_genesis_ct_pretraining"

needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None,
    reason="needs huggingface_hub: pip install models-genesis-bundle[hub]",
)


def unpacked(folder) -> dict[str, bytes]:
    """The files, without the notes that the Hub's client keeps beside them."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if not name.startswith(".cache/")}


@pytest.fixture(scope="module")
def content(archive) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        return {name.removeprefix(f"{NAME}/"): file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def version(archive) -> str:
    return archive.stem.removeprefix(f"{NAME}_v")


@pytest.fixture(scope="module")
def hub(content, tmp_path_factory):
    """The address of a local Hub with the archive's files as `owner/NAME`."""
    folder = tmp_path_factory.mktemp("hub")
    for name, bytes_ in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes_)
    handler = partial(HubHandler, repository=f"owner/{NAME}", folder=folder)
    with answering(handler) as address:
        yield address


def test_download_by_address(server, archive, content, tmp_path):
    run_here("download", "--name", NAME, "--bundle_dir", str(tmp_path), "--url", f"{server}/{archive.name}")
    assert unpacked(tmp_path / NAME) == content


def test_download_from_a_release_on_github(server, version, content, tmp_path):
    def address(repo_owner, repo_name, tag_name, filename):
        return f"{server}/{filename}"

    with mock.patch("monai.bundle.scripts._get_git_release_url", address):
        download(name=NAME, version=version, bundle_dir=tmp_path, source="github", repo="owner/name/tag")
    assert unpacked(tmp_path / NAME) == content


@needs_hub
def test_download_from_the_hugging_face_hub(hub, content, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    words = ["--name", NAME, "--bundle_dir", str(tmp_path), "--repo", f"owner/{NAME}"]
    finish(start("download", "--source", "huggingface_hub", *words))
    assert unpacked(tmp_path / NAME) == content


@needs_hub
def test_download_from_the_model_zoo(server, hub, archive, version, content, tmp_path, monkeypatch):
    """The newest version of the zoo's list; the Hub does not have it under MONAI's name, the zoo's own server does."""
    asked = []

    def get(address, **more):
        asked.append(address)
        listed = {archive.stem: {"checksum": "", "source": f"{server}/{archive.name}"}, "other_v9.9.9": {"source": ""}}
        return SimpleNamespace(text=json.dumps(listed), raise_for_status=lambda: None)

    monkeypatch.setattr("monai.bundle.scripts.has_requests", True)
    monkeypatch.setattr("monai.bundle.scripts.requests", SimpleNamespace(get=get), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
    sought = []

    def address(model_name, version):
        sought.append((model_name, version))
        return f"{server}/{model_name}_v{version}.zip"

    monkeypatch.setattr("monai.bundle.scripts._get_monaihosting_bundle_url", address)
    download(name=NAME, bundle_dir=tmp_path, source="monaihosting")
    assert {Path(one).name for one in asked} == {"model_info.json"}
    assert sought == [(NAME, version)]
    assert unpacked(tmp_path / NAME) == content
