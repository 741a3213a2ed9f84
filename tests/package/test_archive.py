"""The archive is the same for the same files, and holds what a user needs."""

from __future__ import annotations

import json
import zipfile

import pytest
from monai.bundle import ConfigParser


def test_the_same_files_give_the_same_bytes(maker, archive, shipped_weights, tmp_path):
    again = maker.make_archive(tmp_path, str(shipped_weights), allow_uncommitted=True)
    assert again.read_bytes() == archive.read_bytes()


def test_everything_lies_in_one_folder_and_nothing_of_the_makers(archive, maker):
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
    names = [entry.filename for entry in entries]
    assert archive.name == f"models_genesis_v{maker.__version__}.zip"
    assert {name.split("/")[0] for name in names} == {"models_genesis"}
    assert not [name for name in names if "/tests/" in name or "/." in name or "__pycache__" in name]
    assert "models_genesis/scripts/make_archive.py" not in names
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}, "links and odd permissions"


def test_twins_say_what_the_yaml_files_say(bundle, maker):
    for twin, source in maker.TWINS.items():
        assert json.loads((bundle / twin).read_text()) == ConfigParser.load_config_file(bundle / source)


def test_missing_weights_are_named(maker, tmp_path):
    with pytest.raises(maker.ArchiveError, match=r"nothing\.pt.*release_weights"):
        maker.make_archive(tmp_path, str(tmp_path / "nothing.pt"), allow_uncommitted=True)
    assert not list(tmp_path.iterdir())


def test_uncommitted_changes_are_refused(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(maker, "_git", lambda *words: " M LICENSE\n" if words[0] == "status" else "LICENSE\n")
    with pytest.raises(maker.ArchiveError, match=r"LICENSE[\s\S]*allow_uncommitted"):
        maker.make_archive(tmp_path)
