"""The commands in README and docs name files, run ids and settings that exist; links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bundle_commands import ROOT
from monai.bundle import ConfigParser
from test_configs import RUNS

from models_genesis_bundle.engines import RunCommand, refuse_unknown_overrides

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTED = [*(names for _, _, names in RUNS), ["inference", "inference_trt"]]  # the last in tests/package/test_routes.py
TABLE_OF_RUNS = re.compile(r"^\|[^|]*\| `((?:training|evaluating|inferring) [^`]*)` ", re.MULTILINE)
BLOCK = re.compile(r"^```(?:bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def command_lines(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [*lines, *(f"python -m monai.bundle run {words}" for words in TABLE_OF_RUNS.findall(text))]


def commands(needle: str) -> list[str]:
    return sorted({line.strip() for page in PAGES for line in command_lines(page) if needle in line})


def words_behind(line: str, needle: str) -> list[str]:
    return shlex.split(line[line.index(needle) + len(needle) :].split(" #")[0])


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_commands_are_found():
    assert len(commands("monai.bundle run ")) > 30
    assert len(commands("python scripts/")) > 8


@pytest.mark.parametrize("line", commands("monai.bundle run "))
def test_run_names_what_exists(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = words_behind(line, "monai.bundle run ")
    command = RunCommand.from_arguments(["monai/bundle/__main__.py", "run", *words])
    assert command is not None, "a run without a configuration"
    stems = tuple(Path(name).stem for name in command.config_files)
    if command.config_files[0].endswith(".json"):
        pytest.skip("a JSON twin, which the archive has: tests/package")
    assert any(stems[0] == names[0] and set(stems) <= set(names) for names in TESTED), (
        f"RUNS in test_configs lacks {stems}"
    )
    refuse_unknown_overrides(command)
    run_id = "run" if words[0].startswith("--") else words[0]
    assert run_id in ConfigParser.load_config_files(list(command.config_files))


@pytest.mark.parametrize("line", commands("python scripts/"))
def test_scripts_exist(line):
    assert (ROOT / words_behind(line, "python ")[0]).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_configuration_is_documented():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in (ROOT / "configs").glob("*.yaml") if path.stem not in text] == []
