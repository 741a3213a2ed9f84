"""A hook of MkDocs, which mends the links of notebooks; `mkdocs.yml` names it."""

from __future__ import annotations

import re
from typing import Any

PAGE_LINK = re.compile(r'href="((?:\.\./)*[\w/-]+)\.md(?=[#"])')


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """MkDocs turns `page.md` into `page/` in Markdown only, not in the notebooks that mkdocs-jupyter renders."""
    return PAGE_LINK.sub(r'href="../\1/', html) if page.file.src_uri.endswith(".ipynb") else html
