"""The base of handlers that read every case of an evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, case_path, scan_stem
from monai.data import MetaTensor
from monai.utils.enums import CommonKeys

__all__ = ["CaseHandler", "case_source", "evaluated_cases", "short_names"]


def case_source(case: Mapping[str, Any]) -> str:
    """The source of a case: its entry ``case`` if it has one, else the file of its image, see `case_path` for several.

    Raises:
        KeyError: when the case has neither.
    """
    if "case" in case:
        return str(case["case"])
    if CHANNEL_FILES in case:
        return case_path(case[CHANNEL_FILES])
    image = case.get(CommonKeys.IMAGE)
    if isinstance(image, MetaTensor) and "filename_or_obj" in image.meta:
        return str(image.meta["filename_or_obj"])
    raise KeyError(
        "A report calls each case by its entry 'case' or by the file of its image, found neither among "
        f"{sorted(map(str, case))}. Keep the image's metadata (`track_meta: true`), or give each case a name."
    )


def short_names(sources: Sequence[str]) -> list[str]:
    """Names for files: the stem, with as many parent folders as make all names different.

    A source that occurs several times (patches of one scan) is numbered: ``name#1``, ``name#2``.
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


def evaluated_cases(engine: Engine) -> list[dict[str, Any]]:
    """The cases of a MONAI evaluator's last batch, after the postprocessing: entries of the batch, updated by the output's.

    Raises:
        TypeError: when the evaluator has no ``decollate: true``.
    """
    batch, output = engine.state.batch, engine.state.output
    if not isinstance(output, list) or not isinstance(batch, list):
        raise TypeError(
            "A report expects a list of cases as the evaluator's output, found "
            f"{type(output).__name__}. Set the evaluator's `decollate: true`."
        )
    return [{**case, **found} for case, found in zip(batch, output, strict=True)]


class CaseHandler:
    """Starts without cases, collects those of each batch, and writes at the end of an evaluation."""

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator; list the handler after the metrics."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Remove all cases.

        Raises:
            RuntimeError: in a distributed run, in which a process has only a part of the cases.
        """
        processes = idist.get_world_size()
        if processes > 1:
            raise RuntimeError(
                f"A report needs all cases in one process, found {processes} processes. Evaluate without torchrun."
            )

    def collect(self, engine: Engine) -> None:
        """Keep the needed entries of a batch's cases."""
        raise NotImplementedError

    def write(self, engine: Engine) -> None:
        """Write the results of the cases."""
        raise NotImplementedError
