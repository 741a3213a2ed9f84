"""Reading a data set in any layout: which scans, label maps, classes and patients it has, and which split it names."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.channel_groups import group_channels
from models_genesis_bundle.data.datalists.checks import DatalistError
from models_genesis_bundle.data.datalists.find_scans import Found, find_scans, look_below
from models_genesis_bundle.data.datalists.json_datalist import JSON_NAMES, find_json_datalist, read_json_datalist
from models_genesis_bundle.data.datalists.label_pairs import pair_by_names, pair_by_patterns
from models_genesis_bundle.data.datalists.patients import patients_and_rule
from models_genesis_bundle.data.datalists.splits import split_by_folder
from models_genesis_bundle.data.scans.channels import CHANNEL_FILES, Channels, channel_count, scan_files
from models_genesis_bundle.data.scans.files import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    SCAN_SUFFIXES,
    is_scan_file,
    scan_stem,
)
from monai.config import PathLike

__all__ = ["Dataset", "DatasetRequest", "Sections", "read_dataset", "resolved_layout"]

logger = logging.getLogger(__name__)

_LUNA16_SUBSETS = {"training": range(0, 5), "validation": range(5, 7), "test": range(7, 10)}

Sections = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class DatasetRequest:
    """What is asked of a data set.

    Args:
        dataset_dir: a folder, a JSON datalist, or a single scan.
        layout: one of `layouts`, or ``auto``.
        layouts: those that the task can use; the last is taken where nothing points to another.
        patient_regex: names the patients, see `patient_names`.
        spatial_dims: 3, or 2 for flat images.
        image_pattern: what the path of an image looks like, with the layout ``pairs``.
        label_pattern: what the path of a label map looks like.
        class_names: the folders to read, with the layout ``class_folders``.
        when: the case in which these are the layouts, for errors.
        file_keys: what each entry of a JSON must have.
        required: lists that a JSON must have.
        channels: how many channels a scan has, or their names; None: each file is a scan of its own.
    """

    dataset_dir: PathLike
    layout: str = "auto"
    layouts: tuple[str, ...] = ("json", "luna16", "folder")
    patient_regex: str | None = None
    spatial_dims: int = 3
    image_pattern: str | None = None
    label_pattern: str | None = None
    class_names: tuple[str, ...] = ()
    when: str = ""
    file_keys: tuple[str, ...] = ("image",)
    required: tuple[str, ...] = ("training",)
    channels: Channels | None = None

    @property
    def root(self) -> Path:
        """The data set's folder or file."""
        return Path(self.dataset_dir)

    @property
    def base(self) -> Path:
        """The folder that paths of a split file count from."""
        return self.root.parent if self.root.is_file() else self.root


@dataclass(frozen=True)
class Dataset:
    """A data set as it lies there.

    Args:
        sections: its items by list; all are in ``training`` where it names no split.
        told_by: what the patients were recognised by.
        found: everything below its folder; empty for a JSON.
    """

    sections: Sections
    told_by: str
    found: Found = field(default_factory=Found)


def resolved_layout(request: DatasetRequest) -> str:
    """The layout that a request means, ``auto`` resolved.

    Raises:
        FileNotFoundError: no such folder or file.
        DatalistError: a layout that the task does not know.
    """
    if request.layout not in ("auto", *request.layouts):
        known = ", ".join(("auto", *request.layouts)) + request.when
        raise DatalistError(request.root, f"layout must be one of {known}, got {request.layout!r}.", "Correct it.")
    if not request.root.exists():
        raise FileNotFoundError(f"{request.root}: there is no such folder or datalist. Check dataset_dir.")
    if request.layout != "auto":
        return request.layout
    if request.image_pattern is None and request.label_pattern is None and find_json_datalist(request.root):
        return "json"
    if "luna16" in request.layouts and (request.root / "subset0").is_dir():
        return "luna16"
    return request.layouts[-1]


def read_dataset(request: DatasetRequest) -> Dataset:
    """Find the items of a data set.

    Returns:
        Items ``{"image": path, "patient": name}``, with ``label`` (a path) in the layout ``pairs``, with ``label`` (the number of
        the class) in ``class_folders``, with the other plain entries of a JSON. A scan of several files, one for each channel,
        has all of them under ``channel_files``, and the first as ``image``.

    Raises:
        FileNotFoundError: no such folder or file, or nothing in it.
        DatalistError: a layout that does not fit, data that cannot be understood, scans of other channels than wanted.
    """
    dataset = _read(request)
    files = {str(case): [str(file) for file in own] for case, own in dataset.found.channel_files.items()}
    for item in (item for items in dataset.sections.values() for item in items):
        if item["image"] in files:
            item.update({"image": files[item["image"]][0], CHANNEL_FILES: files[item["image"]]})
        _require_channels(item, request)
    return dataset


def _require_channels(item: Mapping[str, Any], request: DatasetRequest) -> None:
    count = len(scan_files(item))
    if request.channels is not None and count > 1 and count != channel_count(request.channels):
        raise DatalistError(
            request.root,
            f"the scan {item['image']} has {count} files, one for each channel, where {channel_count(request.channels)} "
            "channels are wanted.",
            f"Set scan_preprocessing::channels to {count} for the training, or list as many files as the network sees.",
        )


def _look_below(request: DatasetRequest) -> Found:
    found = look_below(request.root, request.spatial_dims)
    return found if request.channels is None else group_channels(found, request.channels, request.root)


def _read(request: DatasetRequest) -> Dataset:
    layout, root = resolved_layout(request), request.root
    if request.layout == "auto":
        logger.info("%s is read with layout=%s", root, layout)
    patterns = (request.image_pattern, request.label_pattern)
    if any(patterns) and layout != "pairs":
        raise DatalistError(
            root, f"image_pattern and label_pattern belong to layout=pairs, not {layout}.", "Leave them out."
        )
    if layout == "json":
        file = find_json_datalist(root)
        if file is None:
            raise FileNotFoundError(f"{root}: it holds none of {', '.join(JSON_NAMES)}. Name the JSON itself.")
        sections = read_json_datalist(file, file.parent, request.patient_regex, request.required, request.file_keys)
        return Dataset(sections, "the entries of the datalist, or their paths")
    if layout == "folder" and root.is_file() and is_scan_file(root):
        return _dataset(Found([root]), [root], root.parent, request)
    if not root.is_dir():
        raise DatalistError(
            root, f"layout={layout} wants a folder, this is a file.", "Give a folder, or another layout."
        )
    return {"luna16": _luna16, "folder": _folder, "pairs": _pairs, "class_folders": _class_folders}[layout](request)


def _dataset(found: Found, images: Sequence[Path], root: Path, request: DatasetRequest) -> Dataset:
    names, told_by = patients_and_rule(images, root, request.patient_regex)
    items = [{"image": str(image), "patient": name} for image, name in zip(images, names, strict=True)]
    return Dataset({"training": items}, told_by, found)


def _folder(request: DatasetRequest) -> Dataset:
    found = _look_below(request)
    if not found.scans:
        raise FileNotFoundError(f"{request.root}: no scan below this folder. {_looked_for(request, found)}")
    return _dataset(found, found.scans, request.root, request)


def _looked_for(request: DatasetRequest, found: Found) -> str:
    dicom = ", ".join(DICOM_SUFFIXES)
    if found.labels:
        return (
            f"What was found looks like label maps ({len(found.labels)}, such as {found.labels[0].name}). If these are scans, "
            "list them in a datalist.json."
        )
    if request.spatial_dims == 2:
        return f"Looked for {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)} and DICOM files ({dicom})."
    sought = f"Looked for {', '.join(SCAN_SUFFIXES)} and folders of DICOM slices ({dicom})."
    pictures = len(find_scans(request.root, spatial_dims=2))
    return f"{sought} Its {pictures} flat images want spatial_dims=2 and a 2D network." if pictures else sought


def _luna16(request: DatasetRequest) -> Dataset:
    root = request.root
    found = _look_below(request)
    subset_of = {scan: scan.relative_to(root).parts[0] for scan in found.scans}
    scans = [scan for scan in found.scans if re.fullmatch("subset[0-9]", subset_of[scan])]
    every = _dataset(found, scans, root, request)
    sections: Sections = {}
    for section, subsets in _LUNA16_SUBSETS.items():
        names = [f"subset{number}" for number in subsets]
        items = zip(scans, every.sections["training"], strict=True)
        sections[section] = [item for scan, item in items if subset_of[scan] in names]
        if not sections[section] and section != "test":
            raise FileNotFoundError(
                f"{root}: no scan for {section} in {', '.join(names)}. Fetch these LUNA16 subsets, or set "
                "layout='folder' for a seeded split of what is there."
            )
        missing = [name for name in names if not (root / name).is_dir()]
        if missing:
            logger.warning("%s: without %s, which belong to LUNA16's %s set", root, ", ".join(missing), section)
    return Dataset(sections, every.told_by, found)


def _pairs(request: DatasetRequest) -> Dataset:
    root = request.root
    found = _look_below(request)
    if (request.image_pattern is None) != (request.label_pattern is None):
        raise DatalistError(
            root, "image_pattern and label_pattern go together, one of them is missing.", "Give both or neither."
        )
    if request.image_pattern is None or request.label_pattern is None:
        label_of = pair_by_names(found, root)
        cases = [
            image.with_name(label.name) if _is_first_channel(image, label) else image
            for image, label in label_of.items()
        ]
        names, told_by = patients_and_rule(cases, root, request.patient_regex)
    else:
        paired = pair_by_patterns(found, root, request.image_pattern, request.label_pattern)
        label_of = {image: label for image, (label, _) in paired.items()}
        names, told_by = [patient for _, patient in paired.values()], "image_pattern"
        if request.patient_regex is not None:
            names, told_by = patients_and_rule(list(label_of), root, request.patient_regex)
    items = [
        {"image": str(image), "label": str(label), "patient": name}
        for (image, label), name in zip(label_of.items(), names, strict=True)
    ]
    return Dataset(split_by_folder(items, root) if request.required else {"training": items}, told_by, found)


def _is_first_channel(image: Path, label: Path) -> bool:
    return scan_stem(image) == f"{scan_stem(label)}_0000"


def _class_folders(request: DatasetRequest) -> Dataset:
    root = request.root
    found = _look_below(request)
    parts = {scan: scan.relative_to(root).parts for scan in found.scans}
    images = [scan for name in request.class_names for scan in found.scans if parts[scan][0] == name]
    below = [root.joinpath(*(parts[image][1:] or parts[image])) for image in images]
    names, told_by = patients_and_rule(below, root, request.patient_regex)
    items = [
        {"image": str(image), "patient": name, "label": request.class_names.index(parts[image][0])}
        for image, name in zip(images, names, strict=True)
    ]
    return Dataset({"training": items}, told_by, found)
