"""The documentation builds as a site without a warning, and every link of the built pages leads somewhere."""

from __future__ import annotations

import importlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bundle_commands import ROOT
from mkdocs.commands.build import build
from mkdocs.config import load_config


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.run_event("startup", command="build", dirty=False)
    build(config)  # with `strict` a warning is an error
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_links_lead_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append((path.parent.name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages):
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    assert "fonts.googleapis" not in text


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "docs" / "reference" / "api").glob("*.md")))
def test_every_public_name_has_its_entry(pages, site, name):
    """A function in a file of its own name has an entry of its own on the page: the package's name for it is that of the file."""
    module = importlib.import_module(f"models_genesis_bundle.{name}")
    anchors = pages[site / "reference" / "api" / name / "index.html"].anchors
    public = [public for public in module.__all__ if callable(getattr(module, public))]
    assert [
        one for one in public if anchors.isdisjoint({f"{module.__name__}.{one}", f"{module.__name__}.{one}.{one}"})
    ] == []
