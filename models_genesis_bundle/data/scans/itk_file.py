"""Reading NRRD and MetaImage files: their text headers, the checks that ITK lacks, and the voxels."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.raw_scan import (
    LPS_TO_RAS,
    RawScan,
    colour_voxels,
    complex_voxels,
    require_bytes,
    require_shape,
    require_spacing,
)
from models_genesis_bundle.data.scans.scan_compose import ScanError

__all__ = ["TEXT_HEADER_SUFFIXES", "itk_affine", "itk_image", "itk_name", "read_itk_file", "read_text_header"]

TEXT_HEADER_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

_NRRD_SUFFIXES = (".nrrd", ".nhdr")
_LONGEST_LINE = 65536
_MOST_LINES = 100_000
_MOST_FILES = 100_000
_FIELD = re.compile(r"\s*([^:=]+?)\s*(?::=|:|=)\s*(.*)")
_NUMBER = re.compile(r"%0?\d*d")
_MILLIMETRES = {"": 1.0, "?": 1.0, "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "μm": 0.001}
_LONG_UNITS = {"millimeter": "mm", "millimetre": "mm", "micron": "um", "micrometer": "um", "meter": "m", "metre": "m"}
_METAIMAGE_MODALITY = "MET_MOD_"
_ENCODINGS = ("raw", "gzip", "text", "txt", "ascii", "hex")
_ZLIB_OR_GZIP = 47
_BLOCK = 2**20


def read_itk_file(path: Path, spatial_dims: int = 3) -> RawScan:
    """Read a NRRD or MetaImage file with the data files that it names; colours, as a further axis, only in 2D."""
    import itk

    header = read_text_header(path)
    _check_header(path, header)
    with itk_name(path, header.data_files) as name:
        io = (itk.NrrdImageIO if name.endswith((".nrrd", ".nhdr")) else itk.MetaImageIO).New()
        io.SetFileName(name)
        io.ReadImageInformation()
        kind = io.GetPixelTypeAsString(io.GetPixelType())
        if "complex" in kind:
            raise complex_voxels(path)
        if kind in ("rgb", "rgba") and spatial_dims == 3:
            raise colour_voxels(path, kind.upper())
        shape = [io.GetDimensions(axis) for axis in range(io.GetNumberOfDimensions())]
        _check_voxels(path, header, shape, io.GetImageSizeInBytes())
        has_components = io.GetNumberOfComponents() > 1
        image = itk_image(name, io, (itk.VectorImage if has_components else itk.Image)[itk.F, len(shape)])
    values = itk.array_from_image(image).T
    modality = header.fields.get("modality", "").removeprefix(_METAIMAGE_MODALITY)
    affine = itk_affine(image)
    affine[:3] *= header.millimetres
    return RawScan(np.moveaxis(values, 0, -1) if has_components else values, affine, modality)


def itk_image(name: str, io: Any, image_type: Any) -> Any:
    """Read a file by the given ``itk.ImageIO`` into the given ``itk.Image`` type."""
    import itk

    reader = itk.ImageFileReader[image_type].New(FileName=name, ImageIO=io)
    reader.Update()
    return reader.GetOutput()


def itk_affine(image: Any) -> np.ndarray:
    """The 4 × 4 affine of an ITK image in RAS millimetres, for its first three axes; missing axes are 1 mm."""
    direction = np.asarray(image.GetDirection())
    axes = min(len(direction), 3)
    affine = np.eye(4)
    affine[:axes, :axes] = direction[:axes, :axes] * np.asarray(image.GetSpacing())[:axes]
    affine[:axes, 3] = np.asarray(image.GetOrigin())[:axes]
    return LPS_TO_RAS @ affine


@contextmanager
def itk_name(path: Path, data_files: Sequence[str] = ()) -> Iterator[str]:
    """A name of the file that ITK takes: UTF-8, with its suffix in lower case.

    If the file has another name, this is a link in a temporary folder, with links to the data files next to it.
    """
    suffix = path.suffix.lower()
    try:
        str(path).encode("utf-8")
        is_plain = path.suffix == suffix
    except UnicodeEncodeError:
        is_plain = False
    if is_plain:
        yield str(path)
        return
    with TemporaryDirectory() as folder:
        for name in data_files:
            link = Path(folder, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((path.parent / name).absolute())
        link = Path(folder, f"scan{suffix}")
        link.symlink_to(path.absolute())
        yield str(link)


def _check_header(path: Path, header: TextHeader) -> None:
    for name in header.data_files:
        pure = (PurePosixPath(name), PureWindowsPath(name))
        if any(file.anchor or ".." in file.parts for file in pure):
            remedy = "Move the data into the header's folder and name them without a path."
            raise ScanError(path, f"its data file {name} is not next to it.", remedy, "data_outside")
        if not (path.parent / name).is_file():
            raise ScanError(path, f"its data file {name} is not there.", "Copy it next to the header.", "missing_data")
    if header.encoding not in _ENCODINGS:
        found = f"its encoding is {header.encoding}, which cannot be unpacked."
        raise ScanError(path, found, "Save it with the encoding gzip or raw.", "encoding")
    if header.millimetres is None:
        unit = header.fields.get("spaceunits") or header.fields["distanceunits"]
        raise ScanError(path, f"its unit of length is {unit}.", "Write its spacing and origin in mm.", "units")
    require_shape(path, header.shape)
    require_spacing(path, [side for side in header.spacing if not math.isnan(side)])


def _check_voxels(path: Path, header: TextHeader, shape: Sequence[int], size: int) -> None:
    """Check the size of uncompressed voxels and the checksum of compressed ones, as ITK does not."""
    if header.skips_bytes:
        return
    files = [path.parent / name for name in header.data_files] or [path]
    start = 0 if header.data_files else header.length
    if header.encoding == "raw":
        require_bytes(path, shape, size, sum(file.stat().st_size for file in files) - start)
    elif header.encoding == "gzip":
        require_bytes(path, shape, size, sum(_unpacked_size(file, start) for file in files))


def _unpacked_size(file: Path, start: int) -> int:
    """Bytes of the zlib or gzip stream from `start`, unpacked to its end, where its checksum is compared."""
    unpacker, count = zlib.decompressobj(_ZLIB_OR_GZIP), 0
    with open(file, "rb") as stream:
        stream.seek(start)
        while not unpacker.eof:
            block = unpacker.unconsumed_tail or stream.read(_BLOCK)
            if not block:
                raise EOFError("the compressed voxels end before their end mark")
            count += len(unpacker.decompress(block, _BLOCK))
    return count


@dataclass(frozen=True)
class TextHeader:
    """The text header of a NRRD or MetaImage file."""

    fields: dict[str, str]  # by name in lower case and without blanks
    data_files: tuple[str, ...]  # with the voxels, as the header writes them; empty if the voxels follow the header
    length: int  # bytes of the header

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
