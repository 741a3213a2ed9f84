"""Links in README and docs lead somewhere, and every configuration is spoken of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import CONFIGS, NOTEBOOK, PAGES

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK], ids=lambda page: page.name)
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
    assert [path.name for path in CONFIGS if path.stem not in text] == []
