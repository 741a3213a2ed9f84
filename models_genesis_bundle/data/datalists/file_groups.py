"""Grouping of files by their names: the channels of a scan, and an image with its label map."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.find_scans import Found, is_label_word, sorted_paths
from models_genesis_bundle.data.datalists.path_words import kind_and_number, without_channels, words_of
from models_genesis_bundle.data.datalists.patients import compiled_pattern, group_called
from models_genesis_bundle.data.scans.files import Channels, case_path, channel_count, channel_names, scan_stem
from models_genesis_bundle.messages import first_of

logger = logging.getLogger(__name__)

_FIRST_CHANNEL = "_0000"
_FURTHER_CHANNEL = re.compile(r"_000[1-9]$")
_CHANNELS = (
    "If they are the channels of one scan, set scan_preprocessing::channels to their number, or to the endings of their "
    "file names, such as ['flair', 't1']."
)
_HOW_TO_PAIR = (
    "Pair them with image_pattern and label_pattern, for example image_pattern='([^/]+)/ct' with "
    "label_pattern='([^/]+)/liver', or list the pairs in a datalist.json."
)

Case = tuple[Path, str]  # folder, and name without the channel
Key = tuple[str, ...]


def group_channels(found: Found, channels: Channels, root: Path) -> Found:
    """Group the channel files of each scan; a `DatalistError` if a scan lacks a channel or has one twice.

    Files of a scan have names that end with the names of the channels, in upper or lower case, and are otherwise the same
    (``p7_flair``, ``p7-T1.nii.gz``). Files with other names are then skipped. If no file has such a name, nnU-Net's numbers
    are used (``case_0000``, ``case_0001``, …). A file without a number is a separate scan.
    """
    if channels == 1:
        return found
    names = channel_names(channels)
    by_name = {} if isinstance(channels, int) else _placed_by_name(found.scans, names)
    placed = by_name or (_placed_by_number(found.scans) if channel_count(channels) > 1 else {})
    cases: dict[Case, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for scan, (case, channel) in placed.items():
        cases[case][channel].append(scan)
    _require_all_channels(cases, names, root)
    files_of: dict[str, list[str]] = {}
    for by_channel in cases.values():
        files = [str(by_channel[channel][0]) for channel in range(len(names))]
        files_of[case_path(files)] = files
    rest = [scan for scan in found.scans if scan not in placed]
    others = {"scans of other channels": [str(scan) for scan in rest]} if by_name and rest else {}
    return replace(
        found,
        scans=sorted_paths([*map(Path, files_of), *([] if by_name else rest)]),
        skipped=found.skipped | others,
        channel_files={case: files for case, files in files_of.items() if len(files) > 1},
    )


def _placed_by_name(scans: Sequence[Path], names: Sequence[str]) -> dict[Path, tuple[Case, int]]:
    """The case and the channel of each scan whose name ends with the name of a channel; the longest name is used."""
    form = re.compile(rf"(?:(.*?)[_. -]+)??({'|'.join(map(re.escape, names))})", re.IGNORECASE)
    number = {name.lower(): place for place, name in enumerate(names)}
    matches = {scan: match for scan in scans if (match := form.fullmatch(scan_stem(scan)))}
    return {scan: ((scan.parent, match[1] or ""), number[match[2].lower()]) for scan, match in matches.items()}


def _placed_by_number(scans: Sequence[Path]) -> dict[Path, tuple[Case, int]]:
    stems = [scan_stem(scan) for scan in scans]
    cases = without_channels(stems, [str(scan.parent) for scan in scans])
    return {
        scan: ((scan.parent, case), int(stem[-4:]))
        for scan, stem, case in zip(scans, stems, cases, strict=True)
        if stem != case
    }


def _require_all_channels(cases: Mapping[Case, Mapping[int, Sequence[Path]]], names: Sequence[str], root: Path) -> None:
    wanted = set(range(len(names)))
    odd = {
        case: sorted(file.name for files in by_channel.values() for file in files)
        for case, by_channel in cases.items()
        if by_channel.keys() != wanted or any(len(files) > 1 for files in by_channel.values())
    }
    if odd:
        named = [f"{case or folder.name} has {', '.join(files)}" for (folder, case), files in sorted(odd.items())]
        raise DatalistError(
            root,
            f"each scan needs {len(names)} channels, a file for each: {', '.join(names)}. {len(odd)} of the {len(cases)} "
            f"scans have others: {first_of(named)}.",
            "Add the missing files, or remove these scans; for a network with other channels, set "
            "scan_preprocessing::channels.",
        )


def pair_by_names(found: Found, root: Path) -> dict[Path, Path]:
    """Pair images and label maps with the same paths; the log names files without a partner.

    Words for images and label maps (``imagesTr``, ``imaging``, ``_seg``) and nnU-Net's ``_0000`` are ignored. The other label
    maps are paired with the image whose name differs only by a modality (``p1_flair`` and ``p1_seg``), or with the only image
    in the same folder or the folder above.
    """

    def by_name(file: Path) -> Key:
        return _key(file.relative_to(root), "image")

    def by_name_without_channel(image: Path) -> Key:
        return by_name(image.parent / scan_stem(image).removesuffix(_FIRST_CHANNEL))

    def by_name_without_modality(file: Path) -> Key:
        return _key(file.relative_to(root), "image", "modality")

    def by_folder(file: Path) -> Key:
        return by_name_without_modality(file.parent / "image")

    label_of: dict[Path, Path] = {}
    images, labels = found.scans, found.labels
    for image_key, label_key in (
        (by_name, by_name),
        (by_name_without_channel, by_name),
        (by_name_without_modality, by_name_without_modality),
        (by_folder, by_folder),
    ):
        images_with, labels_with = _grouped(images, image_key), _grouped(labels, label_key)
        for key in sorted(images_with.keys() & labels_with.keys()):
            if image_key is by_folder and (len(images_with[key]) > 1 or (label_of and not key)):
                continue
            label_of[_only(images_with[key], labels_with[key])] = labels_with[key][0]
        images = [image for image in images if image not in label_of]
        labels = [label for label in labels if label not in label_of.values()]
    return _sorted_pairs(label_of, found.scans, found.labels, found, root)


def _key(path: Path, *ignored: str) -> Key:
    """The names on a path without words for label maps and words of some kinds; the numbers of these words stay."""
    names = []
    for part in (*path.parts[:-1], scan_stem(path.name)):
        words = []
        for word in words_of(part):
            kind, number = kind_and_number(word)
            words.append(number if is_label_word(word) or kind in ignored else word)
        names.append("_".join(filter(None, words)))
    return tuple(filter(None, names))


def _grouped(files: Iterable[Path], key: Callable[[Path], Key]) -> dict[Key, list[Path]]:
    groups: dict[Key, list[Path]] = defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return groups


def _only(images: Sequence[Path], labels: Sequence[Path]) -> Path:
    if len(images) > 1:
        raise DatalistError(
            labels[0], f"it matches {len(images)} images: {_some(images)}.", f"{_HOW_TO_PAIR} {_CHANNELS}"
        )
    if len(labels) > 1:
        remedy = f"Merge them into one label map, or choose one. {_HOW_TO_PAIR}"
        raise DatalistError(images[0], f"it has {len(labels)} label maps: {_some(labels)}.", remedy)
    return images[0]


def _some(paths: Sequence[Path]) -> str:
    return first_of([path.name for path in paths])


def pair_by_patterns(
    found: Found, root: Path, image_pattern: str, label_pattern: str
) -> tuple[dict[Path, Path], list[str]]:
    """Pair images and label maps whose paths match regular expressions, see `segmentation_datalist`.

    Returns:
        The label map of each image that has one, and the patients: the group ``patient`` of the image, otherwise the case.
    """
    images_re, labels_re = _with_group("image_pattern", image_pattern), _with_group("label_pattern", label_pattern)
    names = {path: path.relative_to(root).as_posix() for path in (*found.scans, *found.labels)}
    images = {path: match for path, name in names.items() if (match := images_re.search(name))}
    labels = {path: match for path, name in names.items() if (match := labels_re.search(name))}
    if both := images.keys() & labels.keys():
        raise DatalistError(
            min(both),
            f"it matches both image_pattern {image_pattern!r} and label_pattern {label_pattern!r}.",
            "Change the patterns so that no file matches both.",
        )
    shared = sorted((set(images_re.groupindex) & set(labels_re.groupindex)) - {"case"})
    image_of, label_of = _by_case(images, shared), _by_case(labels, shared)
    pairs = {image_of[key]: label_of[key] for key in image_of.keys() & label_of.keys()}
    pairs = _sorted_pairs(pairs, list(images), list(labels), found, root)
    return pairs, [images[image].groupdict().get("patient") or group_called(images[image], "case") for image in pairs]


def _with_group(setting: str, pattern: str) -> re.Pattern[str]:
    compiled = compiled_pattern(setting, pattern)
    if not compiled.groups:
        raise DatalistError(
            f"{setting} {pattern!r}", "it has no group.", "Put the part that matches the case into parentheses."
        )
    return compiled


def _by_case(matches: Mapping[Path, re.Match[str]], shared: Sequence[str]) -> dict[Key, Path]:
    paths: dict[Key, Path] = {}
    for path, match in matches.items():
        case = (group_called(match, "case"), *(match[group] or "" for group in shared))
        if case in paths:
            remedy = "Make the pattern more specific, or remove one of the files."
            raise DatalistError(path, f"it and {paths[case]} both match the case {case[0]!r}.", remedy)
        paths[case] = path
    return paths


def _sorted_pairs(
    label_of: dict[Path, Path], images: Sequence[Path], labels: Sequence[Path], found: Found, root: Path
) -> dict[Path, Path]:
    """The pairs sorted by the image; files without a partner are logged."""
    if not label_of:
        every = [path.relative_to(root).as_posix() for path in (*found.scans, *found.labels)]
        examples = f", such as {first_of(every)}" if every else ""
        raise FileNotFoundError(
            f"{root}: no image with a label. Of {len(every)} scans{examples}, {len(images)} look like an image and "
            f"{len(labels)} like a label. {_HOW_TO_PAIR}"
            f"{found.skipped_text}"
        )
    for kind, other, every_file, paired in (
        ("images", "label", images, set(label_of)),
        ("labels", "image", labels, set(label_of.values())),
    ):
        if lone := [file for file in every_file if file not in paired]:
            named = first_of(sorted(file.relative_to(root).as_posix() for file in lone))
            hint = f". {_CHANNELS}" if any(_FURTHER_CHANNEL.search(scan_stem(file)) for file in lone) else ""
            logger.warning("%d of the %s have no %s and are skipped: %s%s", len(lone), kind, other, named, hint)
    return dict(sorted(label_of.items(), key=lambda pair: str(pair[0])))
