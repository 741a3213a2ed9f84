"""What two definitions of a network differ in, said so that it can be put right."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["differing_arguments"]


def differing_arguments(written: Mapping[str, Any], wanted: Mapping[str, Any], ignored: Collection[str] = ()) -> str:
    """Name the arguments that differ, each with the setting that makes it the file's.

    Args:
        written: ``network`` record of a weight file (see ``network_record``); may be empty.
        wanted: the record of the network here.
        ignored: arguments that may differ.

    Returns:
        A sentence for an error message; empty when the arguments are not known or do not differ.
    """
    theirs, own = written.get("arguments", {}), wanted.get("arguments", {})
    differing = [
        f"{name} is {theirs[name]!r} in the file and {own[name]!r} here (`--network_def::{name} {_quoted(theirs[name])}`)"
        for name in theirs
        if name in own and name not in ignored and theirs[name] != own[name]
    ]
    return f"Set what differs in the definition: {'; '.join(differing)}. " if differing else ""


def _quoted(value: Any) -> str:
    """A value as it is given on the command line; nothing of it means anything to the shell."""
    text = str(value)
    if "'" not in text:
        return f"'{text}'"
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
