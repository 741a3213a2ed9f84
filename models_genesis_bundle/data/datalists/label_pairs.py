"""Finding the label map of each image, by the names of the files."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from models_genesis_bundle.data.datalists.checks import DatalistError, compiled_pattern
from models_genesis_bundle.data.datalists.find_scans import Found, is_label_word
from models_genesis_bundle.data.datalists.path_words import kind_and_number, words_of
from models_genesis_bundle.data.scans.files import scan_stem
from models_genesis_bundle.messages import first_of

__all__ = ["pair_by_names", "pair_by_patterns"]

logger = logging.getLogger(__name__)

_CHANNEL = "_0000"
_FURTHER_CHANNEL = re.compile(r"_000[1-9]$")
_NAMED_AT_MOST = 5
_CHANNELS = (
    "If they are the channels of one scan, set scan_preprocessing::channels to their number, or to the words at the ends of "
    "their names, as ['flair', 't1']."
)
_HOW_TO_PAIR = (
    "Pair them with image_pattern and label_pattern, for example image_pattern='([^/]+)/ct' with "
    "label_pattern='([^/]+)/liver', or list the pairs in a datalist.json."
)

Key = tuple[str, ...]


def pair_by_names(found: Found, root: Path) -> dict[Path, Path]:
    """Pair images and label maps by what their paths have in common; the log names files without a partner.

    Words for images and label maps (``imagesTr``, ``imaging``, ``_seg``) and nnU-Net's ``_0000`` are ignored. A label map that
    still fits no image is paired with the image whose name differs by a modality alone (``p1_flair`` and ``p1_seg``), or
    with the only image in its folder or the folder above.
    """
    label_of: dict[Path, Path] = {}
    images, labels = found.scans, found.labels
    for attempt in (_by_name, _by_name_without_modality, _by_folder):
        image_with, labels_with = attempt(images, root), attempt(labels, root)
        if attempt is _by_name:
            image_with = _without_channel(image_with, labels_with)
        for key in sorted(image_with.keys() & labels_with.keys()):
            if attempt is _by_folder and (len(image_with[key]) > 1 or (label_of and not key)):
                continue
            label_of[_only(image_with[key], labels_with[key])] = labels_with[key][0]
        images = [image for image in images if image not in label_of]
        labels = [label for label in labels if label not in label_of.values()]
    return _sorted_pairs(label_of, found.scans, found.labels, found, root)


def _by_name(files: Sequence[Path], root: Path, ignored: tuple[str, ...] = ("image",)) -> dict[Key, list[Path]]:
    keyed: dict[Key, list[Path]] = defaultdict(list)
    for file in files:
        relative = file.relative_to(root)
        parts = [words_of(part) for part in (*relative.parts[:-1], scan_stem(relative.name))]
        names = ("_".join(filter(None, (_kept(word, ignored) for word in words))) for words in parts)
        keyed[tuple(filter(None, names))].append(file)
    return keyed


def _kept(word: str, ignored: tuple[str, ...]) -> str:
    kind, number = kind_and_number(word)
    return number if is_label_word(word) or kind in ignored else word


def _by_name_without_modality(files: Sequence[Path], root: Path) -> dict[Key, list[Path]]:
    return _by_name(files, root, ("image", "modality"))


def _by_folder(files: Sequence[Path], root: Path) -> dict[Key, list[Path]]:
    keyed: dict[Key, list[Path]] = defaultdict(list)
    for file in files:
        (key,) = _by_name_without_modality([file.parent / "image"], root)
        keyed[key].append(file)
    return keyed


def _without_channel(images: Mapping[Key, list[Path]], labels: Mapping[Key, list[Path]]) -> dict[Key, list[Path]]:
    """Remove nnU-Net's channel number from the keys of images whose label maps have none."""
    renamed: dict[Key, list[Path]] = {}
    for key, files in images.items():
        short = (*key[:-1], key[-1].removesuffix(_CHANNEL)) if key else key
        clear = key not in labels and short in labels and short not in images
        renamed[short if clear else key] = files
    return renamed


def _only(images: Sequence[Path], labels: Sequence[Path]) -> Path:
    if len(images) > 1:
        raise DatalistError(labels[0], f"it fits {len(images)} images: {_some(images)}.", f"{_HOW_TO_PAIR} {_CHANNELS}")
    if len(labels) > 1:
        remedy = f"Merge the ones that you need into one map, or choose one. {_HOW_TO_PAIR}"
        raise DatalistError(images[0], f"it has {len(labels)} label maps: {_some(labels)}.", remedy)
    return images[0]


def _some(paths: Sequence[Path]) -> str:
    return first_of([path.name for path in paths], _NAMED_AT_MOST)


def pair_by_patterns(
    found: Found, root: Path, image_pattern: str, label_pattern: str
) -> tuple[dict[Path, Path], list[str]]:
    """Pair images and label maps whose paths match regular expressions, see `segmentation_datalist`.

    Returns:
        The label map of each image that has one, and the patients: the images' groups ``patient``, else the cases.
    """
    images_re, labels_re = _with_group("image_pattern", image_pattern), _with_group("label_pattern", label_pattern)
    paths = {path.relative_to(root).as_posix(): path for path in (*found.scans, *found.labels)}
    images = {name: match for name in paths if (match := images_re.search(name))}
    labels = {name: match for name in paths if (match := labels_re.search(name))}
    if both := images.keys() & labels.keys():
        raise DatalistError(
            paths[min(both)],
            f"it fits image_pattern {image_pattern!r} and label_pattern {label_pattern!r}.",
            "Make them narrower, so that no file fits both.",
        )
    shared = sorted((set(images_re.groupindex) & set(labels_re.groupindex)) - {"case"})
    image_of, label_of = _by_case(images, shared), _by_case(labels, shared)
    pairs = {paths[image_of[key]]: paths[label_of[key]] for key in image_of.keys() & label_of.keys()}
    pairs = _sorted_pairs(pairs, [paths[name] for name in images], [paths[name] for name in labels], found, root)
    matches = [images[image.relative_to(root).as_posix()] for image in pairs]
    return pairs, [match.groupdict().get("patient") or _case(match) for match in matches]


def _with_group(setting: str, pattern: str) -> re.Pattern[str]:
    compiled = compiled_pattern(setting, pattern)
    if not compiled.groups:
        raise DatalistError(f"{setting} {pattern!r}", "it has no group.", "Put the name of the case into parentheses.")
    return compiled


def _case(match: re.Match[str]) -> str:
    return match["case"] if "case" in match.re.groupindex else match[1]


def _by_case(matches: Mapping[str, re.Match[str]], shared: Sequence[str]) -> dict[Key, str]:
    names: dict[Key, str] = {}
    for name, match in matches.items():
        case = (_case(match), *(match[group] or "" for group in shared))
        if case in names:
            remedy = "Make the pattern narrower, or remove one of them."
            raise DatalistError(name, f"it and {names[case]} are both of the case {case[0]!r}.", remedy)
        names[case] = name
    return names


def _sorted_pairs(
    label_of: dict[Path, Path], images: Sequence[Path], labels: Sequence[Path], found: Found, root: Path
) -> dict[Path, Path]:
    """The pairs sorted by the image, after a look at what has no partner."""
    if not label_of:
        every = [path.relative_to(root).as_posix() for path in (*found.scans, *found.labels)]
        examples = f", such as {', '.join(every[:_NAMED_AT_MOST])}" if every else ""
        raise FileNotFoundError(
            f"{root}: no image with a label. Of {len(every)} scans{examples}, {len(images)} look like an image and "
            f"{len(labels)} like a label. {_HOW_TO_PAIR}"
        )
    for kind, other, every_file, paired in (
        ("images", "label", images, set(label_of)),
        ("labels", "image", labels, set(label_of.values())),
    ):
        if lone := [file for file in every_file if file not in paired]:
            named = first_of(sorted(file.relative_to(root).as_posix() for file in lone), _NAMED_AT_MOST)
            hint = f". {_CHANNELS}" if any(_FURTHER_CHANNEL.search(scan_stem(file)) for file in lone) else ""
            logger.warning("%d of the %s found have no %s and are left out: %s%s", len(lone), kind, other, named, hint)
    return dict(sorted(label_of.items(), key=lambda pair: str(pair[0])))
