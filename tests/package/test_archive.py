"""The archive is the same for the same files, and holds what a user needs."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from models_genesis_bundle.weights import CheckpointError
from monai.bundle import ConfigParser

NAMED_FILE = re.compile(
    r"(?<![\w/])(?:configs|docs|models_genesis_bundle|scripts)/[\w/-]+\.(?:yaml|json|py|md|ipynb|txt|png|conf)"
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)")
ELSEWHERE = {"configs/hyper_parameters.yaml"}  # in Auto3DSeg's folder of an algorithm


def test_the_same_files_give_the_same_bytes(maker, archive, shipped_weights, tmp_path):
    again = maker.make_archive(tmp_path, str(shipped_weights), allow_uncommitted=True)
    assert again.read_bytes() == archive.read_bytes()


def test_everything_lies_in_one_folder_and_nothing_of_the_makers(archive, maker):
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
    names = [entry.filename for entry in entries]
    assert archive.name == f"{maker.NAME}_v{maker.__version__}.zip"
    assert {name.split("/")[0] for name in names} == {maker.NAME}
    assert not [name for name in names if "/tests/" in name or "/." in name or "__pycache__" in name]
    assert not {f"{maker.NAME}/{name}" for name in maker.FOR_MAKERS}.intersection(names)
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}, "links and odd permissions"


def test_twins_say_what_the_yaml_files_say(bundle, maker):
    for twin, source in maker.TWINS.items():
        assert json.loads((bundle / twin).read_text()) == ConfigParser.load_config_file(bundle / source)


def test_its_pages_name_what_is_in_it(bundle, maker):
    """What only a checkout has is said to be there."""
    for page in (bundle / "README.md", *(bundle / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        named = {bundle / name for name in set(NAMED_FILE.findall(text)) - ELSEWHERE}
        named |= {page.parent / name for name in LINK.findall(text)}
        missing = {path.relative_to(bundle).as_posix() for path in named if not path.exists()}
        assert missing <= set(maker.FOR_MAKERS), page.name
        assert "checkout" in text or not (missing or re.search(r"^make ", text, re.MULTILINE)), page.name


def test_missing_and_damaged_weights_are_named(maker, tmp_path):
    (tmp_path / "cut.pt").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"cut\.pt"):
        maker.make_archive(tmp_path, str(tmp_path / "cut.pt"), allow_uncommitted=True)
    (tmp_path / "cut.pt").unlink()
    with pytest.raises(SystemExit, match=r"nothing\.pt.*release_weights"):
        maker.make_archive(tmp_path, str(tmp_path / "nothing.pt"), allow_uncommitted=True)
    assert not list(tmp_path.iterdir())


def test_uncommitted_changes_are_refused(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(maker, "_git", lambda *words: " M LICENSE\n" if words[0] == "status" else "LICENSE\n")
    with pytest.raises(SystemExit, match=r"LICENSE[\s\S]*allow_uncommitted"):
        maker.make_archive(tmp_path)
