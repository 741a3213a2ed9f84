"""Which scans and label maps lie below a folder. Names tell them apart, and values where the names leave it open."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from models_genesis_bundle.data.datalists.path_words import names_a_thing, words_of
from models_genesis_bundle.data.scans.files import DICOM_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_stem, scan_suffix
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.raw_scan import ScanError
from models_genesis_bundle.files import RUN_MARKER

__all__ = ["Found", "is_label_word", "look_below", "sorted_paths"]

_TRIES_OF_A_SUFFIX = 3
_LABEL_WORD = re.compile(
    r"(?:seg|segm|segmentation|dseg|probseg|aseg|aparc|wmparc|mask|msk|label|labelmap|lbl|gt|groundtruth|ground|truth"
    r"|annotation|annot|contour|roi|rtstruct|rtss|delineation)s?\d*"
)
_IMAGE_FOLDERS = ("image", "images", "img", "imgs")
_MOST_FILES_OF_ONE = 12  # in the folder of one patient
_MOST_KINDS_READ = 16
_FILES_READ_OF_A_KIND = 2
_VOXELS_LOOKED_AT = 10**6
_MOST_LABELS = 32
_LEAST_BACKGROUND = 0.3


@dataclass(frozen=True)
class Found:
    """What lies below a folder."""

    scans: list[Path] = field(default_factory=list)  # files and DICOM folders, sorted
    labels: list[Path] = field(default_factory=list)  # label maps, sorted; they are not in `scans`
    passed_over: dict[str, list[str]] = field(default_factory=dict)  # other files and folders, by the reason
    channel_files: dict[Path, list[Path]] = field(default_factory=dict)  # of scans of several, by their `case_path`


def look_below(folder: str | Path, spatial_dims: int = 3) -> Found:
    """Find scans and label maps below a folder, at any depth; linked folders are followed.

    A folder of DICOM slices is one scan, whatever else lies in it; in 2D each DICOM, PNG and JPEG file is one. Passed over
    are hidden files and folders, the results of earlier runs (folders with a `RUN_MARKER`), folders that cannot be read,
    broken links and links to a folder above.
    """
    passed_over: dict[str, list[str]] = defaultdict(list)
    every: list[Path] = []
    for place, names in _folders(str(folder), passed_over):
        files = [name for name in names if _is_one_scan(os.path.join(place, name), spatial_dims)]
        every.extend(Path(place, name) for name in files)
        if spatial_dims == 3 and _has_slices(place, [name for name in names if not scan_suffix(name)]):
            every.append(Path(place))
        elif others := set(names).difference(files):
            passed_over["other files"].extend(os.path.join(place, name) for name in sorted(others))
    labels = _label_maps_among(every, spatial_dims)
    return Found(sorted_paths([scan for scan in every if scan not in labels]), sorted_paths(labels), passed_over)


def sorted_paths(paths: Iterable[Path]) -> list[Path]:
    """Paths in the order of their folders and names."""
    return sorted(paths, key=lambda path: str(path).split(os.sep))


def _folders(top: str, passed_over: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files; without recursion, as a tree may be deeper than the stack."""
    waiting = [top]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            passed_over[f"folders that cannot be read ({error.strerror})"].append(place)
            continue
        if place != top and any(entry.name == RUN_MARKER for entry in entries):
            passed_over["results of this bundle"].append(place)
            continue
        names = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_file():
                names.append(entry.name)
            elif entry.is_dir() and not (entry.is_symlink() and _leads_back(entry.path, top)):
                waiting.append(entry.path)
            elif entry.is_symlink():
                to = "links back to a folder above" if entry.is_dir() else "links that lead nowhere"
                passed_over[to].append(entry.path)
        yield place, names


def _leads_back(link: str, top: str) -> bool:
    return any(above.is_relative_to(top) and above.samefile(link) for above in Path(link).parents)


def _is_one_scan(file: str, spatial_dims: int) -> bool:
    suffix = scan_suffix(file)
    if spatial_dims == 2:
        return bool(suffix) or is_dicom_file(Path(file))
    return suffix in SCAN_SUFFIXES


def _has_slices(folder: str, names: list[str]) -> bool:
    """Whether one of the files is a DICOM slice; of each suffix in letters only a few files are tried."""
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
    """Whether a word of a name (lower case, perhaps with a number at its end) says that a file is a label map."""
    return _LABEL_WORD.fullmatch(word) is not None


def _label_maps_among(scans: Sequence[Path], spatial_dims: int) -> set[Path]:
    """The files and DICOM folders that are label maps.

    The name of a label map holds a word such as ``seg``, or a folder's name begins with one, unless a folder ``images…``
    lies within. Files that lie next to a scan under another name (``a_1`` next to ``a``, ``liver`` next to ``ct``) are read,
    two of a kind and few kinds: label maps hold few whole numbers and much background.
    """
    if not scans:
        return set()
    above = len(Path(os.path.commonpath([os.path.dirname(scan) for scan in scans])).parts)
    labels = {scan for scan in scans if _is_named_as_label_map(scan.parts[above:])}
    images = [scan for scan in scans if scan not in labels and scan_suffix(scan)]
    series = {str(scan) for scan in scans if not scan_suffix(scan)}
    for kind, other in _open_kinds(images, series):
        read = kind[:_FILES_READ_OF_A_KIND]
        if all(_holds_labels(file, spatial_dims) for file in read) and not _holds_labels(other, spatial_dims):
            labels.update(kind)
    return labels


def _is_named_as_label_map(parts: Sequence[str]) -> bool:
    if any(is_label_word(word) for word in words_of(scan_stem(parts[-1]))):
        return True
    for folder in reversed(parts[:-1]):
        first = next(iter(words_of(folder)), "")
        if first in _IMAGE_FOLDERS or is_label_word(first):
            return first not in _IMAGE_FOLDERS
    return False


def _open_kinds(images: Sequence[Path], series: set[str]) -> Iterator[tuple[list[Path], Path]]:
    """Files whose names do not say whether they are label maps, by kind, the most frequent first.

    Each kind comes with a file or DICOM folder of another kind that lies next to the first of its files.
    """
    kinds: dict[tuple[str, str], list[Path]] = defaultdict(list)
    next_to: dict[Path, Path] = {}
    folders: dict[str, dict[str, Path]] = defaultdict(dict)
    for image in images:
        folders[os.path.dirname(image)][scan_stem(image)] = image
    for folder, files in folders.items():
        if len(files) < 2 and folder not in series:
            continue
        common = re.sub(r"[^\W_]*$", "", os.path.commonprefix(list(files)))  # noqa: RUF071 - letters are meant
        rests = {stem: re.sub(r"\d+", "0", stem[len(common) :]) for stem in files}
        one_patient = len(files) <= _MOST_FILES_OF_ONE and len(set(rests.values())) == len(files)
        for stem, file in files.items():
            base = next((stem[: m.start()] for m in re.finditer(r"[\W_]+", stem) if stem[: m.start()] in files), None)
            if base is not None:
                rest = re.sub(r"\d+", "0", stem[len(base) :])
                if names_a_thing(rest) or rest.strip("_-. ").isdigit():
                    kinds["longer name", rest].append(file)
                    next_to[file] = files[base]
            elif one_patient and names_a_thing(rests[stem]):
                kinds["other name", rests[stem]].append(file)
                next_to[file] = Path(folder) if folder in series else files[_plainest(rests, stem)]
    often = sorted(kinds.items(), key=lambda item: -len(item[1]))
    found = [(files, next_to[files[0]]) for (how, _), files in often if how == "longer name" or len(files) > 1]
    yield from found[:_MOST_KINDS_READ]


def _plainest(rests: dict[str, str], stem: str) -> str:
    """Another file of the patient, if possible one with a known name such as ``ct``."""
    return min((other for other in rests if other != stem), key=lambda other: (names_a_thing(rests[other]), other))


def _holds_labels(file: Path, spatial_dims: int) -> bool:
    try:
        image = LoadScand("image", spatial_dims, allow_constant=True)({"image": str(file)})["image"]
    except ScanError:
        return False
    values = image.as_tensor().flatten()
    values = values[:: max(1, len(values) // _VOXELS_LOOKED_AT)]
    distinct = torch.unique(values)
    whole = bool((distinct == distinct.round()).all()) and distinct[0] == 0
    return whole and len(distinct) <= _MOST_LABELS and float((values == 0).float().mean()) > _LEAST_BACKGROUND
