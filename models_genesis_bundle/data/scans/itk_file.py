"""Reading NRRD and MetaImage files, with checks that ITK does not make."""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
from models_genesis_bundle.data.scans.raw_scan import (
    LPS_TO_RAS,
    RawScan,
    ScanError,
    require_bytes,
    require_grey,
    require_shape,
    require_spacing,
)

logger = logging.getLogger(__name__)

TEXT_HEADER_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

_NRRD_SUFFIXES = (".nrrd", ".nhdr")
_LONGEST_LINE = 65536
_MOST_LINES = 100_000
_FIELD = re.compile(r"\s*([^:=]+?)\s*(?::=|:|=)\s*(.*)")
_SEVERAL_FILES = re.compile(r"LIST(\s|$)|\S*%0?\d*d\S*(\s+-?\d+){2}")
_MILLIMETRES = {"": 1.0, "?": 1.0, "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "μm": 0.001}
_LONG_UNITS = {"millimeter": "mm", "millimetre": "mm", "micron": "um", "micrometer": "um", "meter": "m", "metre": "m"}
_SPACINGS = ("elementspacing", "elementsize", "spacings", "spacedirections")
_LINEAR = {"slope": "1", "offset": "0"}  # MetaImage's intensity function if it changes nothing
_UNPACKED = ("raw", "text", "txt", "ascii", "hex")
_ZLIB_OR_GZIP = 47
_BLOCK = 2**20


class TextHeader(NamedTuple):
    """The text header of a NRRD or MetaImage file."""

    fields: dict[str, str]  # by name in lower case without blanks
    data_file: str  # name of the file with the voxels; "" if they follow the header
    length: int  # bytes of the header


def read_text_header(path: Path) -> TextHeader:
    """Read the header of a ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file."""
    is_nrrd = path.name.lower().endswith(_NRRD_SUFFIXES)
    fields: dict[str, str] = {}
    with open(path, "rb") as stream:
        for line in islice(iter(lambda: stream.readline(_LONGEST_LINE), b""), _MOST_LINES):
            text = os.fsdecode(line).rstrip("\r\n")
            if is_nrrd and not text:
                break
            if match := None if text.startswith("#") else _FIELD.match(text):
                name = "".join(match[1].lower().split())
                fields[name] = match[2].strip()
                if name == "elementdatafile":
                    break
        data_file = fields.get("datafile" if is_nrrd else "elementdatafile", "")
        return TextHeader(fields, "" if data_file.upper() == "LOCAL" else data_file, stream.tell())


def read_itk_file(path: Path, spatial_dims: int = 3) -> RawScan:
    """Read a NRRD or MetaImage file with its data file; in 2D, colours are a further axis."""
    import itk

    header = read_text_header(path)
    _check_data_file(path, header.data_file)
    encoding = _encoding(path, header.fields)
    millimetres = _millimetres(path, header.fields)
    is_nrrd = path.name.lower().endswith(_NRRD_SUFFIXES)
    io = (itk.NrrdImageIO if is_nrrd else itk.MetaImageIO).New(FileName=itk_name(path))
    io.ReadImageInformation()
    kind = io.GetPixelTypeAsString(io.GetPixelType())
    has_colours = spatial_dims == 3 and kind in ("rgb", "rgba")
    require_grey(path, "complex" in kind, kind.upper() if has_colours else "")
    axes = range(io.GetNumberOfDimensions())
    components = [io.GetNumberOfComponents()] if io.GetNumberOfComponents() > 1 else []
    shape = [*components, *map(io.GetDimensions, axes)]
    require_shape(path, shape)
    require_spacing(path, list(map(io.GetSpacing, axes)))
    if not any(name in header.fields for name in _SPACINGS):
        logger.warning("%s: its header gives no spacing; a voxel is assumed to be 1 mm.", path)
    if not any(header.fields.get(name, "0") != "0" for name in ("byteskip", "lineskip", "headersize")):
        _check_voxels(path, header, encoding, shape, io.GetImageSizeInBytes())
    image = itk_image(path, io, (itk.VectorImage if components else itk.Image)[itk.F, len(axes)])
    modality = header.fields.get("modality", "").removeprefix("MET_MOD_")
    scan = itk_scan(image, modality, millimetres)
    return scan if is_nrrd else replace(scan, values=_intensities(path, header.fields, scan.values))


def _intensities(path: Path, fields: dict[str, str], values: np.ndarray) -> np.ndarray:
    """Apply the slope and offset of a MetaImage header, which ITK ignores."""
    slope, offset = (fields.get(f"elementtointensityfunction{name}", default) for name, default in _LINEAR.items())
    if (slope, offset) == tuple(_LINEAR.values()):
        return values
    try:
        return values * np.float32(slope) + np.float32(offset)
    except ValueError:
        found = f"its ElementToIntensityFunction has the slope {slope} and the offset {offset}, which are not numbers."
        raise ScanError(path, found, "Correct its header.", "rescale") from None


def itk_name(path: Path) -> str:
    """The path for ITK, which needs UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ScanError(path, "its name is not UTF-8, and ITK cannot open it.", "Rename it.", "name") from None
    return str(path)


def itk_image(path: Path, io: Any, image_type: Any) -> Any:
    """Read a file with an ``itk.ImageIO`` into a type of ``itk.Image``."""
    import itk

    reader = itk.ImageFileReader[image_type].New(FileName=itk_name(path), ImageIO=io)
    reader.Update()
    return reader.GetOutput()


def itk_scan(image: Any, modality: str, millimetres: float = 1.0) -> RawScan:
    """The scan in an ITK image with a unit of length of `millimetres`; components become the last axis."""
    import itk

    values = itk.array_from_image(image).T
    if image.GetNumberOfComponentsPerPixel() > 1:
        values = np.moveaxis(values, 0, -1)
    direction = np.asarray(image.GetDirection())
    axes = min(len(direction), 3)
    affine = np.eye(4)
    affine[:axes, :axes] = direction[:axes, :axes] * np.asarray(image.GetSpacing())[:axes]
    affine[:axes, 3] = np.asarray(image.GetOrigin())[:axes]
    affine = LPS_TO_RAS @ affine
    affine[:3] *= millimetres
    return RawScan(values, affine, modality)


def _check_data_file(path: Path, name: str) -> None:
    if _SEVERAL_FILES.match(name):
        found = f"its voxels are in several files ({name})."
        raise ScanError(path, found, "Save it as one file, with 3D Slicer for example.", "several_files")
    if any(file.anchor or ".." in file.parts for file in (PurePosixPath(name), PureWindowsPath(name))):
        remedy = "Move the data file into the header's folder, and write its name without a path into the header."
        raise ScanError(path, f"its data file {name} is not next to it.", remedy, "data_outside")
    if name and not (path.parent / name).is_file():
        raise ScanError(
            path, f"its data file {name} does not exist.", "Copy it into the header's folder.", "missing_data"
        )


def _encoding(path: Path, fields: dict[str, str]) -> str:
    if fields.get("compresseddata", "").lower() == "true":
        return "gzip"
    if fields.get("binarydata", "").lower() == "false":
        return "text"
    encoding = fields.get("encoding", "raw").lower()
    if encoding in ("gz", "gzip"):
        return "gzip"
    if encoding not in _UNPACKED:
        found = f"its encoding {encoding} is not supported."
        raise ScanError(path, found, "Save it with the encoding gzip or raw.", "encoding")
    return encoding


def _millimetres(path: Path, fields: dict[str, str]) -> float:
    """Millimetres in the unit of length; an unknown unit and different units are refused."""
    field = fields.get("spaceunits", fields.get("distanceunits", ""))
    words = {word.strip().lower() for word in re.findall(r'"([^"]*)"', field) or [field]} - {"none"}
    factors = {_MILLIMETRES.get(_LONG_UNITS.get(word.removesuffix("s"), word)) for word in words or {""}}
    factor = factors.pop()
    if factor is None or factors:
        raise ScanError(
            path,
            f"its unit of length is {field}, which is not supported.",
            "Write its spacing and origin in mm.",
            "units",
        )
    return factor


def _check_voxels(path: Path, header: TextHeader, encoding: str, shape: Sequence[int], size: int) -> None:
    file = path.parent / header.data_file if header.data_file else path
    start = 0 if header.data_file else header.length
    if encoding == "raw":
        require_bytes(path, shape, size, file.stat().st_size - start)
    elif encoding == "gzip":
        require_bytes(path, shape, size, _unpacked_size(file, start))


def _unpacked_size(file: Path, start: int) -> int:
    """Decompress a zlib or gzip stream from `start` to its end, which checks it, and return the number of bytes."""
    unpacker, count = zlib.decompressobj(_ZLIB_OR_GZIP), 0
    with open(file, "rb") as stream:
        stream.seek(start)
        while not unpacker.eof:
            block = unpacker.unconsumed_tail or stream.read(_BLOCK)
            if not block:
                raise EOFError("the compressed voxels end before their end mark")
            count += len(unpacker.decompress(block, _BLOCK))
    return count
