"""The search for scans and label maps in a folder and its subfolders."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models_genesis_bundle.data.datalists.path_words import words_of
from models_genesis_bundle.data.scans.files import DICOM_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_stem, scan_suffix
from models_genesis_bundle.files import RUN_MARKER, printable

_TRIES_OF_A_SUFFIX = 3
_LABEL_WORD = re.compile(
    r"(?:seg|segm|segmentation|dseg|probseg|aseg|aparc|wmparc|mask|msk|label|labelmap|lbl|gt|groundtruth|ground|truth"
    r"|annotation|annot|contour|roi|rtstruct|rtss|delineation)s?\d*"
)
_IMAGE_FOLDERS = ("image", "images", "img", "imgs")


@dataclass(frozen=True)
class Found:
    """The scans and label maps in a folder and its subfolders."""

    scans: list[Path] = field(default_factory=list)  # files and DICOM folders, sorted
    labels: list[Path] = field(default_factory=list)  # label maps, sorted; they are not in `scans`
    skipped: dict[str, list[str]] = field(default_factory=dict)  # other files and folders, by the reason
    channel_files: dict[str, list[str]] = field(default_factory=dict)  # files of scans with several, by `case_path`

    @property
    def skipped_text(self) -> str:
        """The skipped files and folders, as the end of an error."""
        parts = [f"{len(paths)} {reason}, such as {printable(paths[0])}" for reason, paths in self.skipped.items()]
        return f" Skipped: {'; '.join(parts)}." if parts else ""


def look_below(folder: str | Path, spatial_dims: int = 3) -> Found:
    """Find scans and label maps in a folder and its subfolders, also in linked folders.

    A folder with DICOM slices is one scan; in 2D each DICOM, PNG and JPEG file is one scan. The search skips hidden files and
    folders, results of earlier runs (folders with a `RUN_MARKER`), folders that cannot be read, broken links, and links to a
    parent folder.
    """
    skipped: dict[str, list[str]] = defaultdict(list)
    every: list[Path] = []
    for place, names in _folders(str(folder), skipped):
        files = [name for name in names if _is_one_scan(os.path.join(place, name), spatial_dims)]
        every.extend(Path(place, name) for name in files)
        if spatial_dims == 3 and _has_slices(place, [name for name in names if not scan_suffix(name)]):
            every.append(Path(place))
        elif others := set(names).difference(files):
            skipped["other files"].extend(os.path.join(place, name) for name in sorted(others))
    if not every:
        return Found(skipped=skipped)
    above = len(Path(os.path.commonpath([os.path.dirname(scan) for scan in every])).parts)
    labels = {scan for scan in every if _is_named_as_label_map(scan.parts[above:])}
    return Found(sorted_paths(set(every) - labels), sorted_paths(labels), skipped)


def sorted_paths(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by their folders and names."""
    return sorted(paths, key=lambda path: str(path).split(os.sep))


def _folders(top: str, skipped: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files; not recursive, because folders may be nested deeper than the stack."""
    waiting = [top]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            skipped[f"folders that cannot be read ({error.strerror})"].append(place)
            continue
        if place != top and any(entry.name == RUN_MARKER for entry in entries):
            skipped["results of this bundle"].append(place)
            continue
        names = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_file, is_folder = entry.is_file(), entry.is_dir()
            except OSError:  # a link to itself, or into a folder that cannot be read
                is_file = is_folder = False
            if is_file:
                names.append(entry.name)
            elif is_folder and not (entry.is_symlink() and _leads_back(entry.path)):
                waiting.append(entry.path)
            elif entry.is_symlink():
                reason = "links back to a folder above" if is_folder else "links that lead nowhere"
                skipped[reason].append(entry.path)
        yield place, names


def _leads_back(link: str) -> bool:
    return any(above.samefile(link) for above in Path(os.path.abspath(link)).parents)


def _is_one_scan(file: str, spatial_dims: int) -> bool:
    suffix = scan_suffix(file)
    if spatial_dims == 2:
        return bool(suffix) or is_dicom_file(Path(file))
    return suffix in SCAN_SUFFIXES


def _has_slices(folder: str, names: list[str]) -> bool:
    """Whether one of the files is a DICOM slice; only a few files with the same suffix are tried."""
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


def is_label_word(word: str) -> bool:
    """Whether a word in lower case, which may end with a number, is a word for label maps."""
    return _LABEL_WORD.fullmatch(word) is not None


def _is_named_as_label_map(parts: Sequence[str]) -> bool:
    """Whether the file's name, or its nearest folder that is named after images or label maps, is for label maps."""
    if any(is_label_word(word) for word in words_of(scan_stem(parts[-1]))):
        return True
    for folder in reversed(parts[:-1]):
        first = next(iter(words_of(folder)), "")
        if first in _IMAGE_FOLDERS or is_label_word(first):
            return first not in _IMAGE_FOLDERS
    return False
