"""How a report calls its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from monai.data import MetaTensor
from monai.utils.enums import CommonKeys

from models_genesis_bundle.data.scans.files import scan_stem

__all__ = ["case_source", "short_names"]


def case_source(case: Mapping[str, Any]) -> str:
    """Where a case comes from: its entry ``case`` when it has one, else the file of its image.

    Raises:
        KeyError: when the case says neither.
    """
    if "case" in case:
        return str(case["case"])
    image = case.get(CommonKeys.IMAGE)
    if isinstance(image, MetaTensor) and "filename_or_obj" in image.meta:
        return str(image.meta["filename_or_obj"])
    raise KeyError(
        "A report calls each case by its entry 'case' or by the file of its image, found neither among "
        f"{sorted(map(str, case))}. Keep the image's metadata (`track_meta: true`), or give each case a name."
    )


def short_names(sources: Sequence[str]) -> list[str]:
    """Names for files: the stem, with as many folders before it as tell all of them apart.

    A source that is given several times (patches of one scan) is numbered: ``name#1``, ``name#2``.

    Args:
        sources: paths or names.

    Returns:
        A name for each source, all different.
    """
    distinct = set(sources)
    for folders in range(max((len(Path(source).parts) for source in distinct), default=0)):
        names = {source: _name(source, folders) for source in distinct}
        if len(set(names.values())) == len(distinct):
            break
    else:
        names = {source: source for source in distinct}
    repeated = {source: count(1) for source, times in Counter(sources).items() if times > 1}
    return [names[source] + (f"#{next(repeated[source])}" if source in repeated else "") for source in sources]


def _name(source: str, folders: int) -> str:
    path = Path(source)
    before = path.parent.parts[-folders:] if folders else ()
    return "/".join([*before, scan_stem(path)])
