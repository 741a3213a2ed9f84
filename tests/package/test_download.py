"""MONAI's download puts the bundle in place, from an address and by the zoo's release pages."""

from __future__ import annotations

import zipfile
from unittest import mock

import pytest
from bundle_commands import run_here
from monai.bundle import download


def unpacked(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def content(archive) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        return {name.removeprefix("models_genesis/"): file.read(name) for name in file.namelist()}


def test_download_by_address(server, archive, content, tmp_path):
    run_here("download", "--name", "models_genesis", "--bundle_dir", str(tmp_path), "--url", f"{server}/{archive.name}")
    assert unpacked(tmp_path / "models_genesis") == content


def test_download_from_a_release_on_github(server, archive, content, tmp_path):
    def address(repo_owner, repo_name, tag_name, filename):
        return f"{server}/{filename}"

    with mock.patch("monai.bundle.scripts._get_git_release_url", address):
        download(
            name="models_genesis",
            version=archive.stem.removeprefix("models_genesis_v"),
            bundle_dir=tmp_path,
            source="github",
            repo="owner/name/tag",
        )
    assert unpacked(tmp_path / "models_genesis") == content
