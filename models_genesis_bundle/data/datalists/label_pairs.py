"""Finding images and their label maps by the names of the files."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.find_scans import find_scans
from models_genesis_bundle.data.datalists.patients import patient_names
from models_genesis_bundle.data.scans.files import SCAN_SUFFIXES

__all__ = ["find_label_pairs"]

logger = logging.getLogger(__name__)

_SUFFIX = "(?:" + "|".join(re.escape(suffix) for suffix in SCAN_SUFFIXES) + ")?$"
_IMAGE_PATTERN = r"(?i)^(?P<above>(?:.*/)?)images?(?P<set>[^/]*)/(?P<case>.+?)" + _SUFFIX
_LABEL_PATTERN = r"(?i)^(?P<above>(?:.*/)?)(?:labels?|masks?|segmentations?)(?P<set>[^/]*)/(?P<case>.+?)" + _SUFFIX
_FIRST_CHANNEL = "_0000"
_NAMED_AT_MOST = 5

Identity = tuple[str, ...]


@dataclass(frozen=True)
class _Named:
    """A file whose path matches a pattern.

    Args:
        path: the file, or a folder of DICOM slices.
        relative: its path below the dataset's folder, with ``/``.
        match: where the pattern matches it.
    """

    path: Path
    relative: str
    match: re.Match[str]

    @property
    def case(self) -> str:
        return self.match["case"] if "case" in self.match.re.groupindex else self.match[1]


def find_label_pairs(
    root: Path,
    image_pattern: str | None = None,
    label_pattern: str | None = None,
    patient_regex: str | None = None,
) -> list[dict[str, Any]]:
    """Find the images below a folder that have a label map.

    Both patterns are regular expressions that are searched in a path relative to `root` (with ``/``). An image and a
    label belong together when the group ``case``, or else the first group, is the same in both, and so is every other
    group that both patterns name. Without patterns, ``images…/NAME`` belongs to ``labels…/NAME`` (``masks…`` or
    ``segmentations…``) beside it, whatever the suffix; nnU-Net's ``_0000`` at the end of an image's name is no part of it.

    The patient is told by `patient_regex`; else by the group ``patient`` of `image_pattern`; else it is the case, or,
    without patterns, a folder, as for unlabelled scans (see `patient_names`).

    Args:
        root: folder of the dataset.
        image_pattern: what the path of an image looks like.
        label_pattern: what the path of a label map looks like.
        patient_regex: see `patient_names`.

    Returns:
        ``[{"image": path, "label": path, "patient": name}, …]`` sorted by the image's path. An image without label, or a label
        without image, is left out and named in the log.

    Raises:
        FileNotFoundError: nothing pairs.
        ValueError: a pattern that is no regular expression or has no group, a file that fits both patterns, or two files
            of one case.
    """
    if (image_pattern is None) != (label_pattern is None):
        raise ValueError("image_pattern and label_pattern go together: give both or neither.")
    images_re = _compiled("image_pattern", image_pattern or _IMAGE_PATTERN)
    labels_re = _compiled("label_pattern", label_pattern or _LABEL_PATTERN)
    found = [(path, path.relative_to(root).as_posix()) for path in find_scans(root, with_labels=True)]
    images = [_Named(path, relative, match) for path, relative in found if (match := images_re.search(relative))]
    labels = [_Named(path, relative, match) for path, relative in found if (match := labels_re.search(relative))]
    both = {image.path for image in images} & {label.path for label in labels}
    if both:
        raise ValueError(
            f"{min(both)}: it fits image_pattern {images_re.pattern!r} and label_pattern {labels_re.pattern!r}. Make them "
            "narrower, so that a file is either."
        )
    shared = sorted((set(images_re.groupindex) & set(labels_re.groupindex)) - {"case"})
    image_of, label_of = _by_identity(images, shared), _by_identity(labels, shared)
    if image_pattern is None:
        image_of = _without_channel(image_of, label_of)
    _report_lone("image", [image_of[key].relative for key in image_of.keys() - label_of.keys()], "label")
    _report_lone("label", [label_of[key].relative for key in label_of.keys() - image_of.keys()], "image")
    paired = sorted(image_of.keys() & label_of.keys(), key=lambda key: image_of[key].path)
    if not paired:
        raise FileNotFoundError(_nothing_pairs(root, [relative for _, relative in found], images, labels))
    names = _patients({key: image_of[key] for key in paired}, root, patient_regex, image_pattern is not None)
    return [
        {"image": str(image_of[key].path), "label": str(label_of[key].path), "patient": name}
        for key, name in zip(paired, names, strict=True)
    ]


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{name} {pattern!r} is no regular expression: {error}.") from error
    if not compiled.groups:
        raise ValueError(f"{name} {pattern!r} has no group: put what names the case into parentheses.")
    return compiled


def _by_identity(files: Sequence[_Named], shared: Sequence[str]) -> dict[Identity, _Named]:
    named: dict[Identity, _Named] = {}
    for file in files:
        identity = (file.case, *(file.match[group] or "" for group in shared))
        if identity in named:
            raise ValueError(
                f"{file.path} and {named[identity].path} are both of the case {file.case!r}. Make the pattern narrower, "
                "or take one of them away."
            )
        named[identity] = file
    return named


def _without_channel(images: Mapping[Identity, _Named], labels: Mapping[Identity, _Named]) -> dict[Identity, _Named]:
    """Take nnU-Net's number of the channel off the cases whose label goes without."""
    renamed: dict[Identity, _Named] = {}
    for identity, image in images.items():
        short = (identity[0].removesuffix(_FIRST_CHANNEL), *identity[1:])
        clear = identity not in labels and short in labels and short not in images
        renamed[short if clear else identity] = image
    return renamed


def _report_lone(kind: str, files: Sequence[str], other: str) -> None:
    if files:
        more = f" and {len(files) - _NAMED_AT_MOST} more" if len(files) > _NAMED_AT_MOST else ""
        logger.warning(
            "%d of the %ss found have no %s and are left out: %s%s",
            len(files),
            kind,
            other,
            ", ".join(sorted(files)[:_NAMED_AT_MOST]),
            more,
        )


def _nothing_pairs(root: Path, found: Sequence[str], images: Sequence[_Named], labels: Sequence[_Named]) -> str:
    examples = f", such as {', '.join(found[:_NAMED_AT_MOST])}" if found else ""
    return (
        f"{root}: no image with a label. Of {len(found)} scans{examples}, {len(images)} look like an image and {len(labels)} like "
        "a label. Images are looked for as images…/NAME with labels…/NAME beside it; name another layout with "
        "image_pattern and label_pattern, or list the pairs in a datalist.json."
    )


def _patients(images: Mapping[Identity, _Named], root: Path, patient_regex: str | None, own_pattern: bool) -> list[str]:
    if patient_regex is not None:
        return patient_names([image.path for image in images.values()], root, patient_regex)
    if own_pattern:
        return [image.match.groupdict().get("patient") or image.case for image in images.values()]
    cases = [root / image.relative[: image.match.start("case")] / identity[0] for identity, image in images.items()]
    return patient_names(cases, root)
