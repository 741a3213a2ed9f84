"""Finding the scans, and the label maps next to them, below a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models_genesis_bundle.data.datalists.label_maps import label_maps_among
from models_genesis_bundle.data.scans.files import DICOM_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix
from models_genesis_bundle.files import RUN_MARKER

__all__ = ["Found", "find_scans", "is_dicom_folder", "look_below", "sorted_paths"]

_TRIES_OF_A_SUFFIX = 3


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    Args:
        scans: files and DICOM folders, sorted.
        labels: label maps among them, sorted; they are not in `scans`.
        passed_over: other files and folders, by the reason.
        channel_files: the files of scans of several channels, by what stands for them in `scans`, see `case_path`.
    """

    scans: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    channel_files: dict[Path, list[Path]] = field(default_factory=dict)


def find_scans(folder: str | Path, spatial_dims: int = 3, with_labels: bool = False) -> list[Path]:
    """The scans below a folder, as `look_below` finds them, with the label maps if wanted; sorted."""
    found = look_below(folder, spatial_dims)
    return sorted_paths([*found.scans, *found.labels]) if with_labels else found.scans


def look_below(folder: str | Path, spatial_dims: int = 3) -> Found:
    """Find scans and label maps below a folder.

    A folder of DICOM slices is one scan, whatever else lies in it; in 2D each DICOM file is one. Hidden files and folders are
    passed over, and so are folders of an earlier run's results (they hold `RUN_MARKER`), folders that cannot be read, links
    that lead nowhere and links back to a folder above.

    Args:
        folder: where to look, to any depth; linked folders are followed.
        spatial_dims: with 2, PNG, JPEG and single DICOM files count.
    """
    passed_over: dict[str, list[str]] = {}
    every: list[Path] = []
    for place, names in _folders(str(folder), passed_over):
        files = [name for name in names if _is_one_scan(os.path.join(place, name), spatial_dims)]
        every.extend(Path(place, name) for name in files)
        if spatial_dims == 3 and _has_slices(place, [name for name in names if not scan_suffix(name)]):
            every.append(Path(place))
        elif others := set(names).difference(files):
            passed_over.setdefault("other files", []).extend(os.path.join(place, name) for name in sorted(others))
    labels = label_maps_among(every, spatial_dims)
    return Found(sorted_paths([scan for scan in every if scan not in labels]), sorted_paths(labels), passed_over)


def sorted_paths(paths: Iterable[Path]) -> list[Path]:
    """Paths in the order of their folders and names."""
    return sorted(paths, key=lambda path: str(path).split(os.sep))


def _folders(top: str, passed_over: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files; what is passed over is added to `passed_over`."""

    def pass_over(reason: str, path: str) -> None:
        passed_over.setdefault(reason, []).append(path)

    waiting: list[tuple[str, tuple]] = [(top, ())]
    while waiting:
        place, above = waiting.pop()
        try:
            entries = [
                entry for entry in os.scandir(place) if entry.name == RUN_MARKER or not entry.name.startswith(".")
            ]
            status = os.stat(place)
        except OSError as error:
            pass_over(f"folders that cannot be read ({error.strerror})", place)
            continue
        if above and any(entry.name == RUN_MARKER for entry in entries):
            pass_over("results of this bundle", place)
            continue
        chain = ((status.st_dev, status.st_ino), above)
        names = []
        for entry in entries:
            if entry.is_dir():
                if entry.is_symlink() and _is_in(entry.stat(), chain):
                    pass_over("links back to a folder above", entry.path)
                else:
                    waiting.append((entry.path, chain))
            elif entry.is_file():
                names.append(entry.name)
            elif entry.is_symlink():
                pass_over("links that lead nowhere", entry.path)
        yield place, names


def _is_in(status: os.stat_result, chain: tuple) -> bool:
    while chain:
        own, chain = chain
        if own == (status.st_dev, status.st_ino):
            return True
    return False


def _is_one_scan(file: str, spatial_dims: int) -> bool:
    suffix = scan_suffix(file)
    if spatial_dims == 2:
        return bool(suffix) or is_dicom_file(Path(file))
    return suffix in SCAN_SUFFIXES


def _has_slices(folder: str, names: list[str]) -> bool:
    """Whether one of the files is a DICOM slice. Files of a suffix in letters are tried few times, others until one is."""
    tried: Counter[str] = Counter()
    for name in sorted(names, key=lambda name: not name.lower().endswith(DICOM_SUFFIXES)):
        suffix = os.path.splitext(name)[1].lower()
        if suffix[1:].isalpha():
            tried[suffix] += 1
            if tried[suffix] > _TRIES_OF_A_SUFFIX:
                continue
        if is_dicom_file(Path(folder, name)):
            return True
    return False


def is_dicom_folder(folder: str | Path) -> bool:
    """Whether `folder` directly holds DICOM slices: ``.dcm``, ``.ima``, or other files that start as DICOM does."""
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    return _has_slices(str(folder), [name for name in names if not scan_suffix(name)])
