"""The error inside MONAI's wrappers as the last line of a command's traceback."""

from __future__ import annotations

import sys
from types import TracebackType

from models_genesis_bundle.messages import unwrapped

__all__ = ["end_tracebacks_with_the_cause"]


def end_tracebacks_with_the_cause() -> None:
    """After the traceback of an uncaught error, print the error inside MONAI's wrappers again."""
    sys.excepthook = _print_with_cause


def _print_with_cause(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, trace)
    cause = unwrapped(error)
    if cause is not error:
        print(f"\n{type(cause).__name__}: {cause}", file=sys.stderr)
