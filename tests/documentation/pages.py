"""What the documentation shows: its command lines and its Python, out of README.md, docs/ and the heads of the configurations."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from bundle_commands import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOK = ROOT / "docs" / "start" / "quickstart.ipynb"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECOND_CELL = re.compile(r"^\|[^|]*\| `([^`]+)`", re.MULTILINE)
HEAD = re.compile(r"^#   ((?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)
RUN_IDS = (
    "training ",
    "evaluating ",
    "inferring ",
    "embedding ",
    "planning ",
)  # a table leaves out what its header says
STARTS = ("python ", "torchrun ", "srun ")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages; "" is a block without any."""
    return [text for language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages]


def command_lines() -> list[str]:
    """Every documented command, one line each, sorted, without repetitions."""
    lines = [line for path in CONFIGS for line in HEAD.findall(path.read_text(encoding="utf-8"))]
    for page in PAGES:
        lines += [line for block in blocks(page, "", "bash") for line in joined(block).splitlines()]
        cells = SECOND_CELL.findall(page.read_text(encoding="utf-8"))
        lines += [f"python -m monai.bundle run {cell}" if cell.startswith(RUN_IDS) else cell for cell in cells]
    return sorted({line for line in map(joined, lines) if line.startswith(STARTS)})


def joined(text: str) -> str:
    """Text whose lines that end in a backslash go on in one line."""
    return re.sub(r" *\\\n#? *", " ", text).strip()


def commands(needle: str) -> list[str]:
    return [line for line in command_lines() if needle in line]


def words_behind(line: str, needle: str) -> list[str]:
    return shlex.split(line[line.index(needle) + len(needle) :], comments=True)
