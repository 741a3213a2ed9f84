"""The base class of handlers that read every case of an evaluation."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, case_path, scan_stem
from models_genesis_bundle.files import write_json
from monai.data import MetaTensor
from monai.utils.enums import CommonKeys

logger = logging.getLogger(__name__)


def case_source(case: Mapping[str, Any]) -> str:
    """The source of a case: its entry ``case``, or else the file of its image (`case_path` for several files)."""
    if "case" in case:
        return str(case["case"])
    if CHANNEL_FILES in case:
        return case_path(case[CHANNEL_FILES])
    image = case.get(CommonKeys.IMAGE)
    if isinstance(image, MetaTensor) and "filename_or_obj" in image.meta:
        return str(image.meta["filename_or_obj"])
    raise KeyError(
        "A report names each case by its entry 'case' or by the file of its image, but this case has neither: its entries are "
        f"{sorted(map(str, case))}. Keep the image's metadata (`track_meta: true`), or add an entry 'case'."
    )


def short_names(sources: Sequence[str]) -> list[str]:
    """Names for files: the stem, with as many parent folders as are needed to make all names different.

    A source that occurs several times (patches of one scan) is numbered: ``name#1``, ``name#2``.
    """
    paths = {source: Path(source) for source in sources}
    names = {source: source for source in paths}
    for folders in range(max((len(path.parts) for path in paths.values()), default=0)):
        short = {source: "/".join([*path.parts[-1 - folders : -1], scan_stem(path)]) for source, path in paths.items()}
        if len(set(short.values())) == len(paths):
            names = short
            break
    repeated = {source: count(1) for source, times in Counter(sources).items() if times > 1}
    return [names[source] + (f"#{next(repeated[source])}" if source in repeated else "") for source in sources]


def write_summary(path: str | os.PathLike, summary: Mapping[str, Any]) -> None:
    """Write a summary as JSON, atomically; NaN becomes ``null``."""
    write_json(path, json.loads(json.dumps(summary), parse_constant=lambda name: None))


class CaseHandler:
    """Collects the cases of an evaluation, and writes its results at the end."""

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator; list the handler after the metrics."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Remove all cases; refuse a distributed run, in which each process has only some of them."""
        processes = idist.get_world_size()
        if processes > 1:
            raise RuntimeError(
                f"A report needs all cases in one process, found {processes} processes. Evaluate without torchrun."
            )

    def collect(self, engine: Engine) -> None:
        """Keep the cases of a batch after the postprocessing: the entries of the batch, updated by the output."""
        batch, output = engine.state.batch, engine.state.output
        if not isinstance(output, list) or not isinstance(batch, list):
            raise TypeError(
                "A report expects a list of cases as the evaluator's output, found "
                f"{type(output).__name__}. Set the evaluator's `decollate: true`."
            )
        for case, found in zip(batch, output, strict=True):
            self.keep({**case, **found})

    def keep(self, case: Mapping[str, Any]) -> None:
        """Keep what is needed of a case; errors name the case."""
        raise NotImplementedError

    def write(self, engine: Engine) -> None:
        """Write the results of the cases."""
        raise NotImplementedError

    def conclude(self, engine: Engine, folder: Path, summary: Mapping[str, Any], shown: Iterable[str]) -> None:
        """Write ``summary.json``, add the means of its metrics to those of the evaluator, and log the metrics in ``shown``.

        Every summary has ``confidence``, ``cases`` and ``metrics``: for each metric its value ``mean``, its interval ``low`` …
        ``high``, the number ``n`` of its cases, and further keys of some metrics.
        """
        write_summary(folder / "summary.json", summary)
        metrics, confidence = summary["metrics"], 100 * summary["confidence"]
        engine.state.metrics.update({name: found["mean"] for name, found in metrics.items()})
        for name in shown:
            found = metrics[name]
            interval = f"{confidence:g} % interval {found['low']:.4g} … {found['high']:.4g}"
            left_out = f", {found['missing']} left out" if found.get("missing") else ""
            logger.info("%s: %.4g (%s, n = %d%s)", name, found["mean"], interval, found["n"], left_out)
        logger.info("%d cases: %s", summary["cases"], folder / "summary.json")
