"""Telling label maps from scans: by their names, and by their values where the names leave it open."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from models_genesis_bundle.data.datalists.path_words import names_a_thing, words_of
from models_genesis_bundle.data.scans.files import scan_stem, scan_suffix
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.scan_compose import ScanError

__all__ = ["is_label_word", "label_maps_among"]

_LABEL_WORD = re.compile(
    r"(?:seg|segm|segmentation|dseg|probseg|aseg|aparc|wmparc|mask|msk|label|labelmap|lbl|gt|groundtruth|ground|truth"
    r"|annotation|annot|contour|roi|rtstruct|rtss|delineation)s?\d*"
)
_IMAGE_FOLDERS = ("image", "images", "img", "imgs")
_MOST_FILES_OF_ONE = 12  # in a folder that is one patient's
_MOST_KINDS_READ = 16
_FILES_READ_OF_A_KIND = 2
_VOXELS_LOOKED_AT = 10**6
_MOST_LABELS = 32
_LEAST_BACKGROUND = 0.3


def is_label_word(word: str) -> bool:
    """Whether a word of a name (lower case, a number at its end allowed) says that a file is a label map."""
    return _LABEL_WORD.fullmatch(word) is not None


def label_maps_among(scans: Sequence[Path], spatial_dims: int = 3) -> set[Path]:
    """Those of the files and DICOM folders that are label maps.

    A word of its name says so (``segmentation``, ``p1_seg``, ``label0001``), or a folder whose name begins with such a
    word, unless one called ``images…`` lies within. Files next to a scan under a name that says nothing
    (``a_1`` next to ``a``, ``liver`` next to ``ct``) are read, two of a kind and few kinds: label maps hold few whole numbers
    and much background.

    Args:
        scans: all that were found; what holds all of them says nothing.
        spatial_dims: 3, or 2 for flat images.
    """
    if not scans:
        return set()
    above = len(Path(os.path.commonpath([os.path.dirname(scan) for scan in scans])).parts)
    labels = {scan for scan in scans if _is_named_as_label_map(scan.parts[above:])}
    images = [scan for scan in scans if scan not in labels and scan_suffix(scan)]
    series = {str(scan) for scan in scans if not scan_suffix(scan)}
    for kind, others in _open_kinds(images, series):
        read = kind[:_FILES_READ_OF_A_KIND]
        if all(_holds_labels(file, spatial_dims) for file in read) and not _holds_labels(others, spatial_dims):
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
    """Files of which the names leave open whether they are label maps, by kind, the most frequent first.

    Args:
        images: the files.
        series: folders of DICOM slices; the files in them are next to these slices.

    Yields:
        The files of a kind, and a file or DICOM folder next to the first of them that is of another kind.
    """
    kinds: dict[tuple[str, str], list[Path]] = defaultdict(list)
    beside: dict[Path, Path] = {}
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
                kind = ("after", re.sub(r"\d+", "0", stem[len(base) :]))
                other = base
            elif one_patient:
                kind = ("beside", rests[stem])
                other = "" if folder in series else _plainest(rests, stem)
            else:
                continue
            if names_a_thing(kind[1]) or (base is not None and kind[1].strip("_-. ").isdigit()):
                kinds[kind].append(file)
                beside[file] = files[other] if other else Path(folder)
    often = sorted(kinds.items(), key=lambda item: -len(item[1]))
    found = [(files, beside[files[0]]) for (how, _), files in often if how == "after" or len(files) > 1]
    yield from found[:_MOST_KINDS_READ]


def _plainest(rests: dict[str, str], stem: str) -> str:
    """Another file of the patient, if possible one that a known word such as ``ct`` names."""
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
