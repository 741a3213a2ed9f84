"""Which files and folders are scans, how they are called, and when they changed."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "DICOM_SUFFIXES",
    "IMAGE_SUFFIXES",
    "SCAN_SUFFIXES",
    "find_scans",
    "is_dicom_file",
    "is_dicom_folder",
    "is_scan_file",
    "scan_state",
    "scan_stem",
    "scan_suffix",
]

SCAN_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
DICOM_SUFFIXES = (".dcm", ".ima")

_LABEL_FOLDERS = ("labels", "masks", "segmentations")
_DICOM_MAGIC_OFFSET = 128


def scan_suffix(path: str | Path) -> str:
    """The suffix of a scan or 2D image in lower case, ``.nii.gz`` as one, or ``""`` for anything else."""
    name = Path(path).name.lower()
    return next((suffix for suffix in SCAN_SUFFIXES + IMAGE_SUFFIXES if name.endswith(suffix)), "")


def scan_stem(path: str | Path) -> str:
    """The name of a scan without its suffix; the whole name of a DICOM folder."""
    name = Path(path).name
    suffix = scan_suffix(name) or next((end for end in DICOM_SUFFIXES if name.lower().endswith(end)), "")
    return name[: -len(suffix)] if suffix else name


def is_scan_file(path: str | Path) -> bool:
    """Whether `path` is a file that may be a scan or 2D image: one with a known suffix, or a DICOM file."""
    return bool(scan_suffix(path)) or is_dicom_file(Path(path))


def is_dicom_folder(folder: str | Path) -> bool:
    """Whether `folder` directly holds DICOM slices: ``.dcm``, ``.ima``, or other files that start as DICOM does."""
    files = sorted(entry for entry in Path(folder).iterdir() if entry.is_file() and not entry.name.startswith("."))
    return any(file.suffix.lower() in DICOM_SUFFIXES for file in files) or any(
        is_dicom_file(file) for file in files[:2] if not scan_suffix(file)
    )


def is_dicom_file(file: Path) -> bool:
    """Whether `file` is called ``.dcm`` or ``.ima``, or starts as DICOM does; a ``DICOMDIR``, an index, is none."""
    if not file.is_file() or file.name == "DICOMDIR":
        return False
    if file.suffix.lower() in DICOM_SUFFIXES:
        return True
    with open(file, "rb") as stream:
        stream.seek(_DICOM_MAGIC_OFFSET)
        return stream.read(4) == b"DICM"


def find_scans(folder: str | Path, spatial_dims: int = 3, with_labels: bool = False) -> list[Path]:
    """Find the scans below a folder.

    Hidden files and folders are passed over, and so are folders of labels (named ``labels…``, ``masks…`` or
    ``segmentations…``, as the Decathlon and nnU-Net have them, in any case). A folder of DICOM slices is one scan; in 2D
    each DICOM file is one.

    Args:
        folder: where to look, recursively; linked folders are followed.
        spatial_dims: with 2, PNG, JPEG and single DICOM files count, too.
        with_labels: look into folders of labels, too.

    Returns:
        Paths below `folder`, sorted.
    """
    passed_over = (".",) if with_labels else (".", *_LABEL_FOLDERS)
    found: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.lower().startswith(passed_over)]
        files = [Path(root, name) for name in names if not name.startswith(".")]
        scans = [file for file in files if _is_one_scan(file, spatial_dims)]
        found.extend(scans)
        if spatial_dims == 3 and not scans and is_dicom_folder(root):
            found.append(Path(root))
    return sorted(found)


def _is_one_scan(file: Path, spatial_dims: int) -> bool:
    suffix = scan_suffix(file)
    if spatial_dims == 2:
        return bool(suffix) or is_dicom_file(file)
    return suffix in SCAN_SUFFIXES


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
