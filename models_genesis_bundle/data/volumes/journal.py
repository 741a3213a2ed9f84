"""A file of records that survives interruptions: one checked line for each record."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """Records by key, kept in a text file to which lines are appended.

    Each line holds the CRC-32 of a record and the record as JSON. A line that is incomplete or damaged is ignored, so that
    only its record is lost. The last line of a key counts.

    Args:
        path: the file; it appears with the first record.

    Example:
        >>> journal = Journal(Path("index.jsonl"))  # doctest: +SKIP
        >>> journal.append("scan.nii.gz", {"shape": [64, 64, 32]})  # doctest: +SKIP
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, dict[str, Any]]:
        """All records by key; empty when there is no file."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        return dict(record for line in lines if (record := _record(line)) is not None)

    def append(self, key: str, record: Mapping[str, Any]) -> None:
        """Add a record, or replace the one with the same key.

        Raises:
            OSError: the line could not be written, for example because the disk is full; names the file.
        """
        text = json.dumps([key, record], separators=(",", ":")).encode()
        try:
            with open(self.path, "ab") as file:
                file.write(b"\n%08x %s\n" % (zlib.crc32(text), text))  # the first newline ends an interrupted line
        except OSError as error:
            raise OSError(error.errno, f"{self.path} could not be written: {error.strerror or error}") from error


def _record(line: bytes) -> tuple[str, dict[str, Any]] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    key, record = json.loads(text)
    return key, record
