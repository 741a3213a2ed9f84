"""File names that are not UTF-8."""

from __future__ import annotations

import os

__all__ = ["printable"]


def printable(name: str | os.PathLike) -> str:
    """The text with bytes that are not UTF-8 written as escapes, for logs, tables and pictures.

    Python keeps such bytes as lone surrogates, which UTF-8 cannot hold.
    """
    return os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")
