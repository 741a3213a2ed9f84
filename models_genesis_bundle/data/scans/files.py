"""Which files and folders are scans, how they are called, and when they changed."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = [
    "DICOM_SUFFIXES",
    "IMAGE_SUFFIXES",
    "SCAN_SUFFIXES",
    "is_dicom_file",
    "is_scan_file",
    "scan_state",
    "scan_stem",
    "scan_suffix",
]

SCAN_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
DICOM_SUFFIXES = (".dcm", ".ima")

_SUFFIX = re.compile(f"({'|'.join(map(re.escape, SCAN_SUFFIXES + IMAGE_SUFFIXES))})$", re.IGNORECASE)
_DICOM_MAGIC_OFFSET = 128
_DICOM_HEAD = 256  # bytes from the magic on; the class of what the file holds is among them
_MEDIA_DIRECTORIES = ("DICOMDIR", "DIRFILE")
_MEDIA_DIRECTORY_CLASS = b"1.2.840.10008.1.3.10"


def _name(path: str | Path) -> str:
    return os.path.basename(os.fspath(path).rstrip(os.sep))  # pathlib takes five times as long


def scan_suffix(path: str | Path) -> str:
    """The suffix of a scan or 2D image in lower case, ``.nii.gz`` as one, or ``""`` for anything else."""
    match = _SUFFIX.search(_name(path))
    return match[0].lower() if match else ""


def scan_stem(path: str | Path) -> str:
    """The name of a scan without its suffix; the whole name of a DICOM folder."""
    name = _name(path)
    suffix = scan_suffix(name) or next((end for end in DICOM_SUFFIXES if name.lower().endswith(end)), "")
    return name[: -len(suffix)] if suffix else name


def is_scan_file(path: str | Path) -> bool:
    """Whether `path` is a file that may be a scan or 2D image: one with a known suffix, or a DICOM file."""
    return bool(scan_suffix(path)) or is_dicom_file(Path(path))


def is_dicom_file(file: Path) -> bool:
    """Whether `file` is called ``.dcm`` or ``.ima``, or starts as DICOM does; the index of a medium does not count."""
    if not file.is_file() or file.name.upper() in _MEDIA_DIRECTORIES:
        return False
    if file.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with open(file, "rb") as stream:
            stream.seek(_DICOM_MAGIC_OFFSET)
            head = stream.read(_DICOM_HEAD)
    except OSError:
        return False
    return head.startswith(b"DICM") and _MEDIA_DIRECTORY_CLASS not in head


def scan_state(path: str | Path) -> list[int]:
    """Size in bytes and time of the last change, in nanoseconds, of a scan with the files that belong to it.

    A DICOM folder counts with all its files, a header (``.mhd``, ``.nhdr``) with its neighbours of the same stem. A
    scan that is not there gives ``[-1, -1]``.
    """
    path = Path(path)
    if path.is_dir():
        files = [entry for entry in path.iterdir() if entry.is_file()]
    elif scan_suffix(path) in (".mhd", ".nhdr") and path.parent.is_dir():
        files = [entry for entry in path.parent.iterdir() if entry.name.startswith(scan_stem(path) + ".")]
    else:
        files = [path]
    try:
        states = [file.stat() for file in files]
    except OSError:
        states = []
    if not states:
        return [-1, -1]
    return [sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)]
