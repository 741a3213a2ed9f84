"""Which files and folders are scans, what they are called, and which files belong to a scan."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from models_genesis_bundle.data.scans.text_header import TEXT_HEADER_SUFFIXES, read_text_header

__all__ = [
    "DICOM_SUFFIXES",
    "IMAGE_SUFFIXES",
    "SCAN_SUFFIXES",
    "is_dicom_file",
    "is_scan_file",
    "scan_fingerprint",
    "scan_stem",
    "scan_suffix",
]

SCAN_SUFFIXES = (".nii.gz", ".nii", *TEXT_HEADER_SUFFIXES, ".npy")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
DICOM_SUFFIXES = (".dcm", ".ima")

_SUFFIX = re.compile(f"({'|'.join(map(re.escape, SCAN_SUFFIXES + IMAGE_SUFFIXES))})$", re.IGNORECASE)
_DICOM_PREAMBLE = 128
_DICOM_META_HEADER = 512
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
    """Whether `file` is called ``.dcm`` or ``.ima``, or starts as DICOM does.

    The directory of a medium is an index of other files and does not count, whether it is called ``DICOMDIR``,
    ``DIRFILE`` or anything else.
    """
    if file.name.upper() in _MEDIA_DIRECTORIES or not file.is_file():
        return False
    if file.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with open(file, "rb") as stream:
            stream.seek(_DICOM_PREAMBLE)
            start = stream.read(_DICOM_META_HEADER)
    except OSError:
        return False
    return start.startswith(b"DICM") and _MEDIA_DIRECTORY_CLASS not in start


def scan_fingerprint(path: str | Path, *further: str | Path) -> str:
    """A short text that changes when any file of a scan does.

    The files of a scan are all visible files of a DICOM folder, or a header (``.mhd``, ``.nhdr`` …) with the data files
    that it names, or the one file.

    Args:
        path: the scan, or its first channel.
        further: its other channels, where each has a file.

    Returns:
        16 hexadecimal digits of a SHA-256 over each file's name, size and time of the last change; ``""`` if the scan is
        not there.
    """
    if further:
        states = [scan_fingerprint(file) for file in (path, *further)]
        return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16] if all(states) else ""
    path = os.path.normpath(path)
    folder = os.path.dirname(path)
    digest = hashlib.sha256()
    try:
        files = _files_of_scan(path)
    except OSError:
        return ""
    for file in files:
        digest.update(os.fsencode(file[len(folder) :]))
        try:
            status = os.stat(file)
            digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        except OSError:
            if file == path:
                return ""
            digest.update(b"\0absent\0")
    return digest.hexdigest()[:16]


def _files_of_scan(path: str) -> list[str]:
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_file())
    if scan_suffix(path) in TEXT_HEADER_SUFFIXES and os.path.isfile(path):
        return [path, *(os.path.join(os.path.dirname(path), name) for name in read_text_header(Path(path)).data_files)]
    return [path]
