"""The files of a scan: which files and folders are scans, and their names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.scans.itk_file import TEXT_HEADER_SUFFIXES, read_text_header

SCAN_SUFFIXES = (".nii.gz", ".nii", *TEXT_HEADER_SUFFIXES, ".npy")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
DICOM_SUFFIXES = (".dcm", ".ima")

CHANNEL_FILES = "channel_files"  # key of all files of a scan; `image` is the first
Channels = int | Sequence[str]

_SUFFIX = re.compile(f"({'|'.join(map(re.escape, SCAN_SUFFIXES + IMAGE_SUFFIXES))})$", re.IGNORECASE)
_DICOM_PREAMBLE = 128
_DICOM_META_HEADER = 512
_MEDIA_DIRECTORIES = ("DICOMDIR", "DIRFILE")
_MEDIA_DIRECTORY_CLASS = b"1.2.840.10008.1.3.10"


def _name(path: str | Path) -> str:
    return os.path.basename(os.fspath(path).rstrip(os.sep))  # five times as fast as pathlib


def scan_suffix(path: str | Path) -> str:
    """The suffix of a scan or 2D image in lower case (``.nii.gz`` is one suffix), or ``""`` for anything else."""
    match = _SUFFIX.search(_name(path))
    return match[0].lower() if match else ""


def scan_stem(path: str | Path) -> str:
    """The name of a scan without its suffix; the whole name of a DICOM folder."""
    name = _name(path)
    suffix = scan_suffix(name) or next((end for end in DICOM_SUFFIXES if name.lower().endswith(end)), "")
    return name[: -len(suffix)] if suffix else name


def is_scan_file(path: str | Path) -> bool:
    """Whether `path` has the suffix of a scan or 2D image, or is a DICOM file."""
    return bool(scan_suffix(path)) or is_dicom_file(Path(path))


def is_dicom_file(file: Path) -> bool:
    """Whether `file` has the suffix ``.dcm`` or ``.ima``, or the beginning of DICOM, but is not a ``DICOMDIR``."""
    if file.name.upper() in _MEDIA_DIRECTORIES or not os.path.isfile(file):
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
    """A short text that changes when a file of a scan changes; ``""`` if the scan does not exist.

    It is a hash of the name, size and modification time of each file, see `files_of_scan`. `further` are other channels.
    """
    if further:
        states = [scan_fingerprint(file) for file in (path, *further)]
        return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16] if all(states) else ""
    path = os.path.normpath(path)
    digest = hashlib.sha256()
    try:
        files = files_of_scan(path)
        os.stat(path)
    except OSError:
        return ""
    for file in files:
        digest.update(os.fsencode(file[len(os.path.dirname(path)) :]))
        try:
            status = os.stat(file)
            digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        except OSError:
            digest.update(b"\0absent\0")
    return digest.hexdigest()[:16]


def files_of_scan(path: str) -> list[str]:
    """The files of a scan: the visible files of a DICOM folder, a header with its data file, or one file."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_file())
    if scan_suffix(path) in TEXT_HEADER_SUFFIXES:
        data_file = read_text_header(Path(path)).data_file
        return [path, os.path.join(os.path.dirname(path), data_file)] if data_file else [path]
    return [path]


def channel_count(channels: Channels) -> int:
    """The number of channels, from their number or names; a `ValueError` if there are none or two with the same name."""
    count = channels if isinstance(channels, int) else len({name.lower() for name in channels})
    if count < 1 or (not isinstance(channels, int) and count < len(channels)):
        raise ValueError(f"channels must be a number of 1 or more, or different names, got {channels!r}.")
    return count


def channel_names(channels: Channels) -> list[str]:
    """The names of the channels or, if they have none, nnU-Net's numbers ``0000``, ``0001``, …."""
    return [f"{number:04d}" for number in range(channels)] if isinstance(channels, int) else list(channels)


def scan_files(item: Mapping[str, Any]) -> list[str]:
    """The files of an item: one for each channel, or one with all channels."""
    return list(item.get(CHANNEL_FILES) or [item["image"]])


def case_path(files: Sequence[str]) -> str:
    """A path with the common part of the names of a scan's files, in the folder of the first file.

    Examples:
        >>> case_path(["a/case_0000.nii.gz", "a/case_0001.nii.gz"]), case_path(["a/p7_flair.nii", "a/p7_t1.nii"])
        ('a/case.nii.gz', 'a/p7.nii')
    """
    if len(files) == 1:
        return str(files[0])
    stems = [scan_stem(file) for file in files]
    common = os.path.commonprefix(stems)  # noqa: RUF071 - letters are meant
    if any(stem[len(common) :][:1].isalnum() for stem in stems):  # the common part ends within a word
        common = re.sub(r"[^\W_]*$", "", common).rstrip("_-. ")
    return os.path.join(os.path.dirname(files[0]), common + scan_suffix(files[0])) if common else str(files[0])
