"""Reading NRRD and MetaImage files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.raw_scan import LPS_TO_RAS, RawScan, require_bytes, require_shape
from models_genesis_bundle.data.scans.scan_compose import ScanError
from models_genesis_bundle.data.scans.text_header import TextHeader, read_text_header

__all__ = ["itk_affine", "itk_image", "itk_name", "read_itk_file"]

_METAIMAGE_MODALITY = "MET_MOD_"
_ENCODINGS = ("raw", "gzip", "text", "txt", "ascii", "hex")
_ZLIB_OR_GZIP = 47
_BLOCK = 2**20


def read_itk_file(path: Path, spatial_dims: int = 3) -> RawScan:
    """Read a NRRD or MetaImage file with the data files that it names; colours, as a further axis, only in 2D.

    Raises:
        ScanError: data files that are not next to the header, a spacing of 0 or below, a shape that is too large, an unknown
            encoding or unit, complex voxels, colours in 3D.
        RuntimeError: from ITK, for a damaged file.
    """
    import itk

    header = read_text_header(path)
    _check_header(path, header)
    with itk_name(path, header.data_files) as name:
        io = (itk.NrrdImageIO if name.endswith((".nrrd", ".nhdr")) else itk.MetaImageIO).New()
        io.SetFileName(name)
        io.ReadImageInformation()
        kind = io.GetPixelTypeAsString(io.GetPixelType())
        if "complex" in kind:
            remedy = "Save their magnitude as a scan of its own."
            raise ScanError(path, "its voxels are complex numbers.", remedy, "complex")
        if kind in ("rgb", "rgba") and spatial_dims == 3:
            remedy = "Give the scan that the colours were made from, or save one channel as a scan of its own."
            raise ScanError(path, f"its voxels are colours ({kind.upper()}).", remedy, "colour")
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
    if not all(side > 0 or side != side for side in header.spacing):
        found = f"its spacing must be above 0, found {', '.join(f'{side:g}' for side in header.spacing)}."
        raise ScanError(path, found, "Write the right spacing into its header.", "spacing")


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
