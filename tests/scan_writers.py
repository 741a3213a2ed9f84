"""Scans in the formats that hospitals and data sets use, all with the same voxels and geometry."""

from __future__ import annotations

import locale
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


def write_dicom(folder: Path, array: np.ndarray, series: int = 1) -> Path:
    """Write ``(X, Y, Z)`` int16 HU as CT slices ``1-00.dcm`` …, whose order by name is not their order in space."""
    folder.mkdir(parents=True, exist_ok=True)
    before = locale.setlocale(locale.LC_ALL)
    for z in range(array.shape[2]):
        image = itk.image_from_array(np.ascontiguousarray(array[:, :, z].T))
        image.SetSpacing(SPACING[:2])
        position = np.asarray(ORIGIN) + z * SPACING[2] * DIRECTION[:, 2]
        tags = {
            "0008|0018": f"{UID}.{series}.1.{z + 1}",
            "0008|0060": "CT",
            "0018|0050": str(SPACING[2]),
            "0020|000d": UID,
            "0020|000e": f"{UID}.{series}",
            "0020|0013": str(z + 1),
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "\\".join(map(str, DIRECTION[:, :2].T.ravel())),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for tag, value in tags.items():
            image.GetMetaDataDictionary()[tag] = value
        io = itk.GDCMImageIO.New()
        io.KeepOriginalUIDOn()
        writer = itk.ImageFileWriter[type(image)].New(
            Input=image, FileName=str(folder / f"{series}-{array.shape[2] - z:02d}.dcm"), ImageIO=io
        )
        writer.Update()
    locale.setlocale(
        locale.LC_ALL, before
    )  # GDCM's writer leaves the process in the C locale, where open() reads ASCII
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
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = pixels.ndim == 3 and pixels.shape[-1] == 3
    before = locale.setlocale(locale.LC_ALL)
    image = itk.image_from_array(
        np.ascontiguousarray(pixels), ttype=itk.Image[itk.RGBPixel[itk.UC], 2] if colours else None
    )
    itk.ImageFileWriter[type(image)].New(Input=image, FileName=str(path), ImageIO=itk.GDCMImageIO.New()).Update()
    locale.setlocale(locale.LC_ALL, before)
    if inverted:
        path.write_bytes(path.read_bytes().replace(b"MONOCHROME2 ", b"MONOCHROME1 "))
    return path
