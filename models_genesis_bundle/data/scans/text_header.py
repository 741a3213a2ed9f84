"""The text headers of NRRD and MetaImage, for the checks before ITK reads the voxels."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TEXT_HEADER_SUFFIXES", "TextHeader", "read_text_header"]

TEXT_HEADER_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

_NRRD_SUFFIXES = (".nrrd", ".nhdr")
_LONGEST_LINE = 65536
_MOST_LINES = 100_000
_MOST_FILES = 100_000
_FIELD = re.compile(r"\s*([^:=]+?)\s*(?::=|:|=)\s*(.*)")
_NUMBER = re.compile(r"%0?\d*d")
_MILLIMETRES = {"": 1.0, "?": 1.0, "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "μm": 0.001}
_LONG_UNITS = {"millimeter": "mm", "millimetre": "mm", "micron": "um", "micrometer": "um", "meter": "m", "metre": "m"}


@dataclass(frozen=True)
class TextHeader:
    """The fields of a header.

    Args:
        fields: value of each field, with names in lower case and without blanks.
        data_files: names of the files with the voxels, as the header writes them; empty if the voxels follow the header.
        length: bytes of the header.
    """

    fields: dict[str, str]
    data_files: tuple[str, ...]
    length: int

    @property
    def encoding(self) -> str:
        """The storage of the voxels: ``raw``, ``gzip`` (written by zlib or gzip), or the name of another one."""
        if "encoding" in self.fields:
            return {"gz": "gzip"}.get(encoding := self.fields["encoding"].lower(), encoding)
        if self.fields.get("compresseddata", "").lower() == "true":
            return "gzip"
        return "text" if self.fields.get("binarydata", "").lower() == "false" else "raw"

    @property
    def skips_bytes(self) -> bool:
        """Whether the voxels start after the first byte of their file."""
        return any(self.fields.get(name, "0") != "0" for name in ("byteskip", "lineskip", "headersize"))

    @property
    def shape(self) -> list[int]:
        """Length of each axis, also of vector components; empty if it is missing or invalid."""
        return [int(side) for side in self._numbers("sizes", "dimsize")]

    @property
    def spacing(self) -> list[float]:
        """Spacing of each axis in the header's unit; empty if it is missing or invalid."""
        vectors = re.findall(r"\(([^()]*)\)", self.fields.get("spacedirections", ""))
        try:
            lengths = [math.hypot(*map(float, vector.split(","))) for vector in vectors]
        except ValueError:
            return []
        return lengths or self._numbers("spacings", "elementspacing", "elementsize")

    @property
    def millimetres(self) -> float | None:
        """Millimetres in the unit of the spacing and the origin; None for an unknown unit or several different ones."""
        field = self.fields.get("spaceunits", self.fields.get("distanceunits", ""))
        words = {word.strip().lower() for word in re.findall(r'"([^"]*)"', field) or [field]} - {"none"}
        factors = {_MILLIMETRES.get(_LONG_UNITS.get(word.removesuffix("s"), word)) for word in words or {""}}
        return factors.pop() if len(factors) == 1 else None

    def _numbers(self, *names: str) -> list[float]:
        text = next((self.fields[name] for name in names if name in self.fields), "")
        try:
            return [float(word) for word in text.split()]
        except ValueError:
            return []


def read_text_header(path: Path) -> TextHeader:
    """Read the header of a ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file."""
    is_nrrd = path.name.lower().endswith(_NRRD_SUFFIXES)
    data_field = "datafile" if is_nrrd else "elementdatafile"
    fields: dict[str, str] = {}
    with open(path, "rb") as stream:
        lines = (os.fsdecode(line).rstrip("\r\n") for line in iter(lambda: stream.readline(_LONGEST_LINE), b""))
        for _, line in zip(range(_MOST_LINES), lines, strict=False):
            if is_nrrd and not line:
                break
            if match := None if line.startswith("#") else _FIELD.match(line):
                name = "".join(match[1].lower().split())
                fields[name] = match[2].strip()
                if name == data_field and (not is_nrrd or fields[name].split()[:1] == ["LIST"]):
                    break
        length = stream.tell()
        listed = fields.get(data_field, "")
        if listed.split()[:1] == ["LIST"]:
            names = [line.strip() for _, line in zip(range(_MOST_FILES), lines, strict=False) if line.strip()]
        else:
            names = [] if not listed or listed.upper() == "LOCAL" else _numbered(listed)
    return TextHeader(fields, tuple(names), length)


def _numbered(listed: str) -> list[str]:
    """The names of a pattern such as ``slice%03d.raw 1 10 1``, or the one name."""
    pattern, *numbers = listed.split()
    number = _NUMBER.search(pattern)
    if number is None or len(numbers) < 2:
        return [listed]
    try:
        first, last, step = (int(word) for word in [*numbers, "1"][:3])
        steps = range(first, last + (1 if step > 0 else -1), step)
    except ValueError:
        return [listed]
    return [pattern.replace(number[0], number[0] % step) for step in steps[:_MOST_FILES]] or [listed]
