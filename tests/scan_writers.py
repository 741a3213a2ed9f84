"""Scans in the formats that hospitals and data sets use, all with the same voxels and geometry."""

from __future__ import annotations

import struct
from pathlib import Path

import itk
import nibabel
import numpy as np

# Axes that are neither RAS nor LPS, as a sagittal series has them; columns are the directions of X, Y and Z in LPS.
DIRECTION = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
ORIGIN = (10.0, -20.0, 30.0)
SPACING = (2.0, 3.0, 4.0)
UID = "1.2.826.0.1.3680043.2.1125.1"


def affine() -> np.ndarray:
    """The geometry above as a NIfTI affine, in RAS millimetres."""
    matrix = np.eye(4)
    matrix[:3, :3] = DIRECTION @ np.diag(SPACING)
    matrix[:3, 3] = ORIGIN
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def write_scan(path: Path, array: np.ndarray, compression: bool = False) -> Path:
    """Write ``(X, Y, Z)`` in the format that the suffix names; a name without suffix becomes a folder of DICOM slices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(array, affine()), path)
    elif path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix:
        image = itk.image_from_array(np.ascontiguousarray(array.T))
        image.SetOrigin(ORIGIN)
        image.SetSpacing(SPACING)
        image.SetDirection(DIRECTION)
        itk.imwrite(image, str(path), compression=compression)
    else:
        write_dicom(path, array)
    return path


_TAGS = {
    "ImageType": (0x0008, 0x0008, "CS"),
    "SOPClassUID": (0x0008, 0x0016, "UI"),
    "SOPInstanceUID": (0x0008, 0x0018, "UI"),
    "Modality": (0x0008, 0x0060, "CS"),
    "SliceThickness": (0x0018, 0x0050, "DS"),
    "StudyInstanceUID": (0x0020, 0x000D, "UI"),
    "SeriesInstanceUID": (0x0020, 0x000E, "UI"),
    "InstanceNumber": (0x0020, 0x0013, "IS"),
    "ImagePositionPatient": (0x0020, 0x0032, "DS"),
    "ImageOrientationPatient": (0x0020, 0x0037, "DS"),
    "SamplesPerPixel": (0x0028, 0x0002, "US"),
    "PhotometricInterpretation": (0x0028, 0x0004, "CS"),
    "PlanarConfiguration": (0x0028, 0x0006, "US"),
    "NumberOfFrames": (0x0028, 0x0008, "IS"),
    "Rows": (0x0028, 0x0010, "US"),
    "Columns": (0x0028, 0x0011, "US"),
    "PixelSpacing": (0x0028, 0x0030, "DS"),
    "BitsAllocated": (0x0028, 0x0100, "US"),
    "BitsStored": (0x0028, 0x0101, "US"),
    "HighBit": (0x0028, 0x0102, "US"),
    "PixelRepresentation": (0x0028, 0x0103, "US"),
    "RescaleIntercept": (0x0028, 0x1052, "DS"),
    "RescaleSlope": (0x0028, 0x1053, "DS"),
    "PixelData": (0x7FE0, 0x0010, "OW"),
}
_CT_IMAGE, _LITTLE_ENDIAN = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def write_dicom_file(path: Path, stored: np.ndarray | None, **elements: object) -> Path:
    """Write one DICOM file.

    Args:
        path: the file.
        stored: stored values ``(rows, columns)``, ``(frames, rows, columns)`` or ``(rows, columns, 3)``, of 8 or 16 bits;
            None writes an object without pixels.
        elements: values by DICOM keyword, beside and instead of the plain ones; None leaves an element out.
    """
    content: dict[str, object] = {"SOPClassUID": _CT_IMAGE, "SOPInstanceUID": f"{UID}.9", "Modality": "CT"}
    if stored is not None:
        colours = stored.ndim == 3 and stored.shape[-1] == 3
        rows, columns = stored.shape[:2] if colours else stored.shape[-2:]
        bits = 8 * stored.dtype.itemsize
        content |= {
            "SamplesPerPixel": 3 if colours else 1,
            "PhotometricInterpretation": "RGB" if colours else "MONOCHROME2",
            "PlanarConfiguration": 0 if colours else None,
            "NumberOfFrames": len(stored) if stored.ndim == 3 and not colours else None,
            "Rows": rows,
            "Columns": columns,
            "BitsAllocated": bits,
            "BitsStored": bits,
            "PixelRepresentation": int(stored.dtype.kind == "i"),
            "PixelData": stored.astype(stored.dtype.newbyteorder("<")).tobytes(),
        }
    content |= elements
    if stored is not None:
        content["HighBit"] = content["BitsStored"] - 1
    meta = _element(2, 2, "UI", content["SOPClassUID"]) + _element(2, 0x10, "UI", _LITTLE_ENDIAN)
    meta = _element(2, 0, "UL", struct.pack("<I", len(meta))) + meta
    body = b"".join(
        _element(*tag, content[keyword]) for keyword, tag in _TAGS.items() if content.get(keyword) is not None
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 128 + b"DICM" + meta + body)
    return path


def _element(group: int, number: int, kind: str, value: object) -> bytes:
    if isinstance(value, (list, tuple, np.ndarray)):
        value = "\\".join(f"{one:.12g}" for one in value)
    data = struct.pack("<H", value) if kind == "US" else value if isinstance(value, bytes) else str(value).encode()
    data += (b"\0" if kind in ("UI", "OW") else b" ") * (len(data) % 2)
    length = struct.pack("<HI", 0, len(data)) if kind == "OW" else struct.pack("<H", len(data))
    return struct.pack("<HH", group, number) + kind.encode() + length + data


def write_dicom(folder: Path, array: np.ndarray, series: int = 1, **elements: object) -> Path:
    """Write ``(X, Y, Z)`` int16 HU as CT slices ``1-00.dcm`` …, whose order by name is not their order in space.

    `elements` are those of `write_dicom_file`, the same for every slice.
    """
    for z in range(array.shape[2]):
        plain = {
            "SOPInstanceUID": f"{UID}.{series}.1.{z + 1}",
            "SliceThickness": SPACING[2],
            "StudyInstanceUID": UID,
            "SeriesInstanceUID": f"{UID}.{series}",
            "InstanceNumber": z + 1,
            "ImagePositionPatient": np.asarray(ORIGIN) + z * SPACING[2] * DIRECTION[:, 2],
            "ImageOrientationPatient": DIRECTION[:, :2].T.ravel(),
            "PixelSpacing": SPACING[1::-1],
            "RescaleIntercept": -1024,
            "RescaleSlope": 1,
        }
        file = folder / f"{series}-{array.shape[2] - z:02d}.dcm"
        write_dicom_file(file, (array[:, :, z].T + 1024).astype(np.uint16), **(plain | elements))
    return folder


def truncate(path: Path, share: float = 0.5) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def write_radiograph(path: Path, pixels: np.ndarray, inverted: bool = False) -> Path:
    """Write ``(rows, columns)`` int16, or ``(frames, rows, columns)`` and ``(rows, columns, 3)`` uint8, as one DICOM file.

    `inverted` marks the grey values as MONOCHROME1, the brightest as black.
    """
    kind = {"PhotometricInterpretation": "MONOCHROME1"} if inverted else {}
    return write_dicom_file(path, pixels, Modality="DX", PixelSpacing=(1, 1), **kind)
