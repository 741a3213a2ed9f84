"""Finding which label map belongs to which image, by the names of the files."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models_genesis_bundle.data.datalists.checks import DatalistError
from models_genesis_bundle.data.datalists.find_scans import Found
from models_genesis_bundle.data.datalists.label_maps import is_label_word
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
    "Name what pairs with image_pattern and label_pattern, for example image_pattern='([^/]+)/ct' with "
    "label_pattern='([^/]+)/liver', or list the pairs in a datalist.json."
)

Key = tuple[str, ...]


def pair_by_names(found: Found, root: Path) -> dict[Path, Path]:
    """Pair images and label maps by what their paths have in common.

    Words for images and label maps (``images…``, ``labels…``, ``imaging``, ``_seg``, ``volume``) are no part of it, nor is
    nnU-Net's ``_0000``. A label map that fits no image by this belongs to the image that is called alike but for the modality
    (``p1_flair`` to ``p1_seg``), else to the only one of its folder, or of the folder above.

    Args:
        found: what lies below the folder.
        root: folder of the dataset.

    Returns:
        The label map of each image that has one, sorted by the image. The others are left out and named in the log.

    Raises:
        FileNotFoundError: nothing pairs.
        DatalistError: a label map that fits several images, or several label maps that fit one image.
    """
    label_of: dict[Path, Path] = {}
    images, labels = list(found.scans), list(found.labels)
    for key_of in (_name, _name_without_modality, _folder):
        image_with, labels_with = _by_key(images, root, key_of), _by_key(labels, root, key_of)
        if key_of is _name:
            image_with = _without_channel(image_with, labels_with)
        for key in sorted(image_with.keys() & labels_with.keys()):
            if key_of is _folder and (len(image_with[key]) > 1 or (label_of and not key)):
                continue
            label_of[_only(image_with[key], labels_with[key])] = labels_with[key][0]
        images = [image for image in images if image not in label_of]
        labels = sorted(set(labels).difference(label_of.values()))
    _report_lone("images", "label", images, root)
    _report_lone("labels", "image", labels, root)
    if not label_of:
        every = [path.relative_to(root).as_posix() for path in (*found.scans, *found.labels)]
        raise FileNotFoundError(_nothing_pairs(root, every, len(found.scans), len(found.labels)))
    return dict(sorted(label_of.items(), key=lambda pair: str(pair[0])))


def _name(path: Path, root: Path, passed_over: tuple[str | None, ...] = ("image",)) -> Key:
    relative = path.relative_to(root)
    parts = [words_of(part) for part in (*relative.parts[:-1], scan_stem(relative.name))]
    return tuple(name for words in parts if (name := "_".join(filter(None, (_kept(w, passed_over) for w in words)))))


def _kept(word: str, passed_over: tuple[str | None, ...]) -> str:
    kind, number = kind_and_number(word)
    return number if is_label_word(word) or (kind in passed_over) else word


def _name_without_modality(path: Path, root: Path) -> Key:
    return _name(path, root, ("image", "modality"))


def _folder(path: Path, root: Path) -> Key:
    return _name_without_modality(path.parent / "image", root)


def _by_key(files: Sequence[Path], root: Path, key_of: Callable[[Path, Path], Key]) -> dict[Key, list[Path]]:
    keyed: dict[Key, list[Path]] = defaultdict(list)
    for file in files:
        keyed[key_of(file, root)].append(file)
    return keyed


def _without_channel(images: Mapping[Key, list[Path]], labels: Mapping[Key, list[Path]]) -> dict[Key, list[Path]]:
    """Take nnU-Net's number of the channel off the images whose label goes without."""
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
        raise DatalistError(
            images[0],
            f"it has {len(labels)} label maps: {_some(labels)}.",
            f"Merge those you need into one map, or take one. {_HOW_TO_PAIR}",
        )
    return images[0]


def _some(paths: Sequence[Path]) -> str:
    return first_of([path.name for path in paths], _NAMED_AT_MOST)


def pair_by_patterns(found: Found, root: Path, image_pattern: str, label_pattern: str) -> dict[Path, tuple[Path, str]]:
    """Pair images and label maps whose paths match regular expressions.

    Both are searched in a path relative to `root` (with ``/``). An image and a label belong together when the group ``case``, or
    else the first group, is the same in both, and so is every other group that both patterns name.

    Args:
        found: what lies below the folder.
        root: folder of the dataset.
        image_pattern: what the path of an image looks like; its group ``patient``, else the case, is the patient.
        label_pattern: what the path of a label map looks like.

    Returns:
        For each image that has a label map this and the patient, sorted by the image. The others are left out and named in the
        log.

    Raises:
        FileNotFoundError: nothing pairs.
        DatalistError: a pattern that is no regular expression or has no group, a file that fits both patterns, or two files
            of one case.
    """
    images_re, labels_re = _compiled("image_pattern", image_pattern), _compiled("label_pattern", label_pattern)
    relative = {path.relative_to(root).as_posix(): path for path in (*found.scans, *found.labels)}
    images = {name: match for name in relative if (match := images_re.search(name))}
    labels = {name: match for name in relative if (match := labels_re.search(name))}
    if both := images.keys() & labels.keys():
        raise DatalistError(
            relative[min(both)],
            f"it fits image_pattern {image_pattern!r} and label_pattern {label_pattern!r}.",
            "Make them narrower, so that a file is either.",
        )
    shared = sorted((set(images_re.groupindex) & set(labels_re.groupindex)) - {"case"})
    image_of, label_of = _by_identity(images, shared), _by_identity(labels, shared)
    _report_lone("images", "label", [relative[image_of[key]] for key in image_of.keys() - label_of.keys()], root)
    _report_lone("labels", "image", [relative[label_of[key]] for key in label_of.keys() - image_of.keys()], root)
    paired = {image_of[key]: label_of[key] for key in image_of.keys() & label_of.keys()}
    if not paired:
        raise FileNotFoundError(_nothing_pairs(root, list(relative), len(images), len(labels)))
    return {
        relative[image]: (relative[label], images[image].groupdict().get("patient") or _case(images[image]))
        for image, label in sorted(paired.items())
    }


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DatalistError(f"{name} {pattern!r}", f"it is no regular expression: {error}.", "Correct it.") from error
    if not compiled.groups:
        raise DatalistError(f"{name} {pattern!r}", "it has no group.", "Put what names the case into parentheses.")
    return compiled


def _case(match: re.Match[str]) -> str:
    return match["case"] if "case" in match.re.groupindex else match[1]


def _by_identity(matches: Mapping[str, re.Match[str]], shared: Sequence[str]) -> dict[Key, str]:
    named: dict[Key, str] = {}
    for name, match in matches.items():
        identity = (_case(match), *(match[group] or "" for group in shared))
        if identity in named:
            raise DatalistError(
                name,
                f"it and {named[identity]} are both of the case {identity[0]!r}.",
                "Make the pattern narrower, or take one of them away.",
            )
        named[identity] = name
    return named


def _report_lone(kind: str, other: str, files: Sequence[Path], root: Path) -> None:
    if files:
        named = first_of(sorted(file.relative_to(root).as_posix() for file in files), _NAMED_AT_MOST)
        hint = f". {_CHANNELS}" if any(_FURTHER_CHANNEL.search(scan_stem(file)) for file in files) else ""
        logger.warning("%d of the %s found have no %s and are left out: %s%s", len(files), kind, other, named, hint)


def _nothing_pairs(root: Path, found: Sequence[str], images: int, labels: int) -> str:
    examples = f", such as {', '.join(found[:_NAMED_AT_MOST])}" if found else ""
    return (
        f"{root}: no image with a label. Of {len(found)} scans{examples}, {images} look like an image and {labels} like a "
        f"label. {_HOW_TO_PAIR}"
    )
