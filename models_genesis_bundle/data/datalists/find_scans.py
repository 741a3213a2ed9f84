"""Finding the scans below a folder."""

from __future__ import annotations

import os
from pathlib import Path

from models_genesis_bundle.data.scans.files import DICOM_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix
from models_genesis_bundle.files import RUN_MARKER

__all__ = ["find_scans", "is_dicom_folder"]

_LABEL_FOLDERS = ("labels", "masks", "segmentations")


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
        folders[:] = [name for name in folders if not Path(root, name, RUN_MARKER).exists()]
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


def is_dicom_folder(folder: str | Path) -> bool:
    """Whether `folder` directly holds DICOM slices: ``.dcm``, ``.ima``, or other files that start as DICOM does."""
    files = sorted(entry for entry in Path(folder).iterdir() if entry.is_file() and not entry.name.startswith("."))
    return any(file.suffix.lower() in DICOM_SUFFIXES for file in files) or any(
        is_dicom_file(file) for file in files[:2] if not scan_suffix(file)
    )
