"""The cases of an evaluation, one by one."""

from __future__ import annotations

from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine

__all__ = ["evaluated_cases", "require_one_process"]


def require_one_process() -> None:
    """Refuse to report on a part of the cases.

    Raises:
        RuntimeError: in a distributed run, where a process sees only its share.
    """
    if idist.get_world_size() > 1:
        raise RuntimeError(
            f"A report needs all cases in one process, found {idist.get_world_size()} processes. Evaluate without torchrun."
        )


def evaluated_cases(engine: Engine) -> list[dict[str, Any]]:
    """What a MONAI evaluator knows of each case of its last batch, behind the postprocessing.

    Args:
        engine: an evaluator with ``decollate: true``.

    Returns:
        For each case its entries of the batch, and over them those of the output.

    Raises:
        TypeError: when the evaluator does not decollate.
    """
    batch, output = engine.state.batch, engine.state.output
    if not isinstance(output, list) or not isinstance(batch, list):
        raise TypeError(
            "A report expects a list of cases as the evaluator's output, found "
            f"{type(output).__name__}. Set the evaluator's `decollate: true`."
        )
    return [{**case, **found} for case, found in zip(batch, output, strict=True)]
