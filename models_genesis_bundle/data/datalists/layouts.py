"""Reading a dataset in any layout: scans, label maps, classes, patients, and split."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.file_groups import group_channels, pair_by_names, pair_by_patterns
from models_genesis_bundle.data.datalists.find_scans import Found, look_below
from models_genesis_bundle.data.datalists.json_datalist import (
    JSON_NAMES,
    find_json_datalist,
    read_json_datalist,
    section_called,
)
from models_genesis_bundle.data.datalists.patients import patient_names
from models_genesis_bundle.data.datalists.splits import split_by_folder
from models_genesis_bundle.data.scans.files import (
    CHANNEL_FILES,
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    SCAN_SUFFIXES,
    Channels,
    channel_count,
    is_scan_file,
    scan_files,
    scan_stem,
)
from monai.config import PathLike

logger = logging.getLogger(__name__)

_LUNA16_SUBSETS = {"training": range(0, 5), "validation": range(5, 7), "test": range(7, 10)}

Sections = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class DatasetRequest:
    """A dataset and how to read it; see the arguments of the datalists."""

    dataset_dir: PathLike
    layout: str = "auto"
    layouts: tuple[str, ...] = ("json", "luna16", "folder")  # possible layouts; the last one is the default of ``auto``
    patient_regex: str | None = None
    spatial_dims: int = 3
    image_pattern: str | None = None
    label_pattern: str | None = None
    when: str = ""  # when these layouts are possible, for errors
    labelled: bool = False  # whether ``label`` is a path in the entries of a JSON
    required: tuple[str, ...] = ("training",)  # lists that a JSON must have
    channels: Channels | None = None

    @property
    def root(self) -> Path:
        """The dataset's folder or file."""
        return Path(self.dataset_dir)

    @property
    def base(self) -> Path:
        """The folder of the relative paths in a split file."""
        return self.root.parent if self.root.is_file() else self.root


@dataclass(frozen=True)
class Dataset:
    """The content of a dataset."""

    sections: Sections  # the items by list; all are in ``training`` if the dataset has no split
    found: Found = field(default_factory=Found)  # files in its folder; empty for a JSON
    layout: str = "json"

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of all lists."""
        return [item for items in self.sections.values() for item in items]


def resolved_layout(request: DatasetRequest) -> str:
    """The layout of a request, with ``auto`` resolved."""
    root = request.root
    if request.layout not in ("auto", *request.layouts):
        known = ", ".join(("auto", *request.layouts)) + request.when
        raise DatalistError(root, f"layout must be one of {known}, got {request.layout!r}.", "Correct it.")
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such folder or datalist. Check dataset_dir.")
    if request.layout != "auto":
        return request.layout
    if request.image_pattern is None and request.label_pattern is None and find_json_datalist(root):
        return "json"
    return "luna16" if "luna16" in request.layouts and (root / "subset0").is_dir() else request.layouts[-1]


def read_dataset(request: DatasetRequest) -> Dataset:
    """Find the items ``{"image": path, "patient": name}`` of a dataset.

    ``label`` is a path in the layout ``pairs``, and the name of the class in ``class_folders``. The items of a JSON keep their
    plain entries. If a scan has a file for each channel, ``channel_files`` has all files, and ``image`` the first.
    """
    layout, root = resolved_layout(request), request.root
    if request.layout == "auto":
        logger.info("%s is read with layout=%s", root, layout)
    if (request.image_pattern or request.label_pattern) and layout != "pairs":
        found = f"image_pattern and label_pattern belong to layout=pairs, not {layout}."
        raise DatalistError(root, found, "Remove them, or set layout=pairs.")
    dataset = _json(request) if layout == "json" else _below(request, layout)
    for item in dataset.items:
        if files := dataset.found.channel_files.get(item["image"]):
            item.update({"image": files[0], CHANNEL_FILES: files})
        count = len(scan_files(item))
        if request.channels is not None and count > 1 and count != (wanted := channel_count(request.channels)):
            raise DatalistError(
                root,
                f"the scan {item['image']} has {count} files, one for each channel, but {wanted} channels are expected.",
                f"Set scan_preprocessing::channels to {count} for the training, or list one file for each channel of the network.",
            )
    return dataset


def _json(request: DatasetRequest) -> Dataset:
    file = find_json_datalist(request.root)
    if file is None:
        raise FileNotFoundError(
            f"{request.root}: it contains none of {', '.join(JSON_NAMES)}. Give the path of the JSON file."
        )
    return Dataset(read_json_datalist(file, file.parent, request.patient_regex, request.required, request.labelled))


def _below(request: DatasetRequest, layout: str) -> Dataset:
    root = request.root
    if layout == "folder" and root.is_file() and is_scan_file(root):
        return Dataset({"training": _items([root], root.parent, request)}, layout=layout)
    if not root.is_dir():
        raise DatalistError(root, f"layout={layout} needs a folder, found a file.", "Give a folder, or another layout.")
    found = look_below(root, request.spatial_dims)
    if request.channels is not None:
        found = group_channels(found, request.channels, root)
    read = {"luna16": _luna16, "folder": _folder, "pairs": _pairs, "class_folders": _class_folders}[layout]
    return Dataset(read(request, found), found, layout)


def _items(images: Sequence[Path], root: Path, request: DatasetRequest) -> list[dict[str, Any]]:
    names = patient_names(images, root, request.patient_regex)
    return [{"image": str(image), "patient": name} for image, name in zip(images, names, strict=True)]


def _folder(request: DatasetRequest, found: Found) -> Sections:
    if not found.scans:
        raise FileNotFoundError(
            f"{request.root}: no scan in this folder or its subfolders. {_looked_for(request, found)}{found.skipped_text}"
        )
    return {"training": _items(found.scans, request.root, request)}


def _looked_for(request: DatasetRequest, found: Found) -> str:
    dicom = ", ".join(DICOM_SUFFIXES)
    if found.labels:
        return (
            f"All files look like label maps ({len(found.labels)}, such as {found.labels[0].name}). If they are scans, "
            "list them in a datalist.json."
        )
    if request.spatial_dims == 2:
        return f"Looked for {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)} and DICOM files ({dicom})."
    sought = f"Looked for {', '.join(SCAN_SUFFIXES)} and folders of DICOM slices ({dicom})."
    pictures = len(look_below(request.root, spatial_dims=2).scans)
    return f"{sought} Its {pictures} flat images need spatial_dims=2 and a 2D network." if pictures else sought


def _luna16(request: DatasetRequest, found: Found) -> Sections:
    root = request.root
    subset_of = {str(scan): scan.relative_to(root).parts[0] for scan in found.scans}
    scans = [scan for scan in found.scans if re.fullmatch("subset[0-9]", subset_of[str(scan)])]
    items = _items(scans, root, request)
    if not request.required:
        return {"training": items}
    sections: Sections = {}
    for section, numbers in _LUNA16_SUBSETS.items():
        names = [f"subset{number}" for number in numbers]
        sections[section] = [item for item in items if subset_of[item["image"]] in names]
        if not sections[section] and section != "test":
            raise FileNotFoundError(
                f"{root}: no scan for {section} in {', '.join(names)}. Download these LUNA16 subsets, or set "
                "layout='folder' for a random split of the scans."
            )
        if missing := [name for name in names if not (root / name).is_dir()]:
            logger.warning("%s: the folders %s of LUNA16's %s set are missing", root, ", ".join(missing), section)
    return sections


def _pairs(request: DatasetRequest, found: Found) -> Sections:
    root, image_pattern, label_pattern = request.root, request.image_pattern, request.label_pattern
    if (image_pattern is None) != (label_pattern is None):
        missing = "image_pattern and label_pattern must be set together, found only one."
        raise DatalistError(root, missing, "Set both or neither.")
    if image_pattern is None or label_pattern is None:
        label_of = pair_by_names(found, root)
        cases = [
            image.with_name(label.name) if scan_stem(image) == f"{scan_stem(label)}_0000" else image
            for image, label in label_of.items()
        ]
        patients = patient_names(cases, root, request.patient_regex)
    else:
        label_of, patients = pair_by_patterns(found, root, image_pattern, label_pattern)
        if request.patient_regex is not None:
            patients = patient_names(list(label_of), root, request.patient_regex)
    items = [
        {"image": str(image), "patient": patient, "label": str(label)}
        for (image, label), patient in zip(label_of.items(), patients, strict=True)
    ]
    return split_by_folder(items, root) if request.required else {"training": items}


def _class_folders(request: DatasetRequest, found: Found) -> Sections:
    folder_of = class_folders(request.root, found.scans)
    below = [request.root / scan.relative_to(folder) for scan, folder in folder_of.items()]
    patients = patient_names(below, request.root, request.patient_regex)
    items = [
        {"image": str(image), "patient": patient, "label": folder.name}
        for (image, folder), patient in zip(folder_of.items(), patients, strict=True)
    ]
    split = any(folder.parent != request.root for folder in folder_of.values())
    return split_by_folder(items, request.root) if split else {"training": items}


def class_folders(root: Path, scans: Sequence[Path]) -> dict[Path, Path]:
    """The class folder of each scan, in the root, or in the folders of a split such as ``train`` and ``test``."""
    parts = {scan: scan.relative_to(root).parts for scan in scans}
    depth = 2 if all(len(names) > 2 and section_called(names[0]) for names in parts.values()) else 1
    return {scan: root.joinpath(*names[:depth]) for scan, names in parts.items() if len(names) > depth}
