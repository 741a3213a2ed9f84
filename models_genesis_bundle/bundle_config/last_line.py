"""Ends the traceback of a command with the message that says what to do."""

from __future__ import annotations

import sys
from types import TracebackType

__all__ = ["end_tracebacks_with_the_cause"]

# What MONAI wraps an error in, a layer for each component and transform that it arose in.
_WRAPPERS = ("Failed to ", "applying transform ")


def end_tracebacks_with_the_cause() -> None:
    """Print, after the traceback of an error that nobody catches, once more what MONAI has wrapped into others."""
    sys.excepthook = _print_with_cause


def _print_with_cause(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, trace)
    cause = unwrapped(error)
    if cause is not error:
        print(f"\n{type(cause).__name__}: {cause}", file=sys.stderr)


def unwrapped(error: BaseException) -> BaseException:
    """The error without MONAI's wrappers."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None and str(error).startswith(_WRAPPERS):
        error = error.__cause__
    return error
