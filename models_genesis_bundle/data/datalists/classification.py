"""Datalists for classification: images, or candidate points in scans, with their classes, split by patient."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.candidates import join_candidates, number_or_name, read_candidates
from models_genesis_bundle.data.datalists.checks import checked_split
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, section_called
from models_genesis_bundle.data.datalists.layouts import (
    DatasetRequest,
    Sections,
    class_folders,
    read_dataset,
    resolved_layout,
)
from models_genesis_bundle.data.datalists.scan_lists import list_scans
from models_genesis_bundle.data.datalists.splits import SplitRequest
from models_genesis_bundle.data.scans.files import Channels
from monai.config import PathLike

logger = logging.getLogger(__name__)


def classification_datalist(
    dataset_dir: PathLike,
    class_key: str = "label",
    layout: str = "auto",
    patient_regex: str | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
    split_file: PathLike | None = None,
    candidates_file: PathLike | None = None,
    num_classes: int = 2,
    class_names: Sequence[str] | None = None,
    channels: Channels = 1,
) -> Sections:
    """List images or candidates with their classes, split by patient.

    ================= ======================================================================================
    layout            images, classes and split
    ================= ======================================================================================
    ``json``          the lists ``training``, ``validation`` and ``test`` of a JSON, a class per image
    ``class_folders`` a folder for each class, in sorted order or that of `class_names`; also in ``train``, ``val``, ``test``
    ``luna16``        for candidates: ``subset0`` … ``subset9``, split as in the paper
    ``folder``        for candidates: any scans below the folder
    ``auto``          the first of these that the data have
    ================= ======================================================================================

    With a `candidates_file`, the items are its points, and `dataset_dir` contains the scans, with their ``seriesuid`` as file
    names. A missing validation or test list gets random patients of the training list.

    Args:
        dataset_dir: a folder, or the JSON itself.
        class_key: key of the class in the JSON: its number, true or false, or its name.
        layout: a layout of the table.
        patient_regex: see `list_scans`; in class folders, it is searched in the path below the folder of the class.
        validation_fraction: fraction of the training patients for validation, in (0, 1), or their number, 1 or more.
        test_fraction: fraction or number of the training patients for the test; 0 for none.
        seed: random seed of the split.
        split_file: JSON with the lists ``training``, ``validation`` and optionally ``test`` of paths of images or scans,
            relative to `dataset_dir` or to its folder. It replaces the split; images that it does not list are skipped.
        candidates_file: CSV of candidate points, see `read_candidates`.
        num_classes: number of classes.
        class_names: names of the classes, in the order of their numbers.
        channels: number or names of a scan's channels, see `segmentation_datalist`.

    Returns:
        ``training``, ``validation`` and ``test`` (may be empty) of ``{"image": path, "label": class number, "patient": name}``,
        with the other plain entries of the JSON, or with ``point`` (x, y, z) in millimetres and LPS axes, ``scan`` and the
        further columns of the CSV. If a scan has a file for each channel, it also has ``channel_files``.

    Raises:
        FileNotFoundError: the folder or file does not exist, or contains no data.
        DatalistError: the data are invalid, a class is unknown or missing in training or validation, a patient is in two lists,
            a file is listed twice, or there are too few patients.

    Examples:
        >>> import json
        >>> from models_genesis_bundle.data import classification_datalist
        >>> items = [{"image": f"phantoms/images/phantom_00{number}.nii.gz", "malignant": number % 2} for number in range(4)]
        >>> with open("classes.json", "w") as file:
        ...     json.dump({"training": items[:2], "validation": items[2:]}, file)
        >>> datalist = classification_datalist("classes.json", class_key="malignant", test_fraction=0)
        >>> [item["label"] for item in datalist["training"]]
        [0, 1]
    """
    split = SplitRequest(validation_fraction, test_fraction, seed)
    request = replace(_request(dataset_dir, layout, candidates_file), patient_regex=patient_regex, channels=channels)
    dataset = read_dataset(request)
    by_folder = dataset.layout == "class_folders"
    folders = {item["label"] for item in dataset.items} if by_folder else None
    names = _checked_names(request.root, num_classes, class_names, folders)
    if candidates_file is None:
        key = "label" if by_folder else class_key
        dataset = replace(dataset, sections=_with_classes(dataset.sections, key, names, request.root))
    sections = checked_split(request, dataset, split, split_file)
    if candidates_file is not None:
        sections = _with_candidates(sections, candidates_file, names)
    for section, items in sections.items():
        counts = Counter(item["label"] for item in items)
        classes = ", ".join(f"{counts[number]} of {name!r}" for number, name in enumerate(names))
        if section != "test" and len(counts) < len(names):
            raise DatalistError(
                candidates_file or request.root,
                f"the {section} list needs items of every class, found {classes}.",
                "Change validation_fraction, test_fraction or the seed of the split, give a split_file, or correct "
                "num_classes and class_names.",
            )
        logger.info("%s: %s; %d patients", section, classes, len({item["patient"] for item in items}))
    return sections


def dataset_class_names(
    dataset_dir: PathLike,
    num_classes: int = 2,
    class_names: Sequence[str] | None = None,
    layout: str = "auto",
    candidates_file: PathLike | None = None,
    positive_class: int = 0,
) -> list[str]:
    """The names of a dataset's classes in the order of their numbers.

    They are `class_names`, otherwise the names of the class folders, otherwise ``class 0``, ``class 1``, …. `positive_class` is
    the number of the class to detect; for the other arguments see `classification_datalist`.

    Raises:
        DatalistError: the classes do not fit `num_classes` or the class folders, or `positive_class` does not exist.
    """
    if not 0 <= positive_class < num_classes:
        found = f"expected the number of a class, 0 … {num_classes - 1}, found {positive_class}."
        raise DatalistError("positive_class", found, "Correct it, or num_classes.")
    request, folders = _request(dataset_dir, layout, candidates_file), None
    if resolved_layout(request) == "class_folders":
        folders = {folder.name for folder in class_folders(request.root, look_below(request.root).scans).values()}
    return _checked_names(request.root, num_classes, class_names, folders)


def _checked_names(
    root: Path, num_classes: int, class_names: Sequence[str] | None, folders: Collection[str] | None
) -> list[str]:
    """The names of the classes; `folders` are the names of the class folders, None for another layout."""
    names = None if class_names is None else [str(name) for name in class_names]
    if names is not None and not len(set(names)) == len(names) == num_classes:
        found = f"expected {num_classes} different names (num_classes), found {names}."
        raise DatalistError("class_names", found, "Correct them.")
    if folders is None:
        return names or [f"class {number}" for number in range(num_classes)]
    if not folders and not look_below(root).scans and (pictures := len(look_below(root, spatial_dims=2).scans)):
        found = f"expected scans (volumes), found {pictures} flat images, which the classification does not read."
        raise DatalistError(root, found, "Use volumes. For flat images see the end of docs/how-to/pretraining_2d.md.")
    listed = ", ".join(sorted(folders)) or "none"
    if folders and all(map(section_called, folders)):
        found = f"its folders {listed} are named like the lists of a split, not like classes."
        raise DatalistError(root, found, "Put a folder for each class into each of them, or give a JSON datalist.")
    if len(folders) != num_classes or not set(folders) >= set(names or ()):
        wanted = f"{num_classes} folders with scans, one for each class" if names is None else ", ".join(names)
        raise DatalistError(
            root,
            f"expected {wanted}, found {listed}.",
            "Set num_classes and class_names to match the folders, or give a JSON datalist. For candidates in scans, give a "
            "candidates_file.",
        )
    return names or sorted(folders)


def unlabelled_datalist(
    dataset_dir: PathLike,
    candidates_file: PathLike | None = None,
    patient_regex: str | None = None,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List images, or candidate points in scans, for inference; their classes are ignored.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of candidate points, see `read_candidates`; None for the images themselves.
        patient_regex: see `list_scans`.
        channels: number or names of a scan's channels, see `segmentation_datalist`.

    Returns:
        ``{"image": path, "patient": name}``, with ``channel_files`` if a scan has a file for each channel, and with ``point``
        and ``scan`` for candidates.

    Raises:
        FileNotFoundError: the folder or file does not exist, or contains no scan.
        DatalistError: the candidates are invalid, or belong to none of the scans.
    """
    scans: list[dict[str, Any]] = list_scans(dataset_dir, patient_regex, channels=channels)
    if candidates_file is None:
        return scans
    return join_candidates(read_candidates(candidates_file, labelled=False), scans, candidates_file)


def _request(dataset_dir: PathLike, layout: str, candidates_file: PathLike | None) -> DatasetRequest:
    if candidates_file is None:
        return DatasetRequest(dataset_dir, layout, ("json", "class_folders"), when=" without a candidates_file")
    return DatasetRequest(dataset_dir, layout, when=" with a candidates_file")


def _with_classes(sections: Sections, class_key: str, names: Sequence[str], source: Path) -> Sections:
    labelled: Sections = {}
    for section, entries in sections.items():
        labelled[section] = [
            {**entry, "label": _class_of(entry, class_key, names, f"{source}, {section}, {entry['image']}")}
            for entry in entries
            if class_key in entry
        ]
        if absent := len(entries) - len(labelled[section]):
            logger.warning("%s: %d entries of %s have no %r and are skipped", source, absent, section, class_key)
    if sections["training"] and not labelled["training"]:
        keys = sorted({key for entry in sections["training"] for key in entry} - {"image", "patient"})
        found = f"no training entry has the class_key {class_key!r}; the keys of its entries are {', '.join(keys) or 'none'}."
        raise DatalistError(source, found, "Set class_key to the key of the class.")
    return labelled


def _class_of(item: Mapping[str, Any], key: str, names: Sequence[str], place: str) -> int:
    """The number of an item's class, from its name or, unless names are numbers, its number."""
    value = item[key]
    lower = [name.lower() for name in names]
    if isinstance(value, bool) and str(value).lower() not in lower:
        value = int(value)
    for text in (str(value).strip(), str(number_or_name(value))):
        if text in names:
            return list(names).index(text)
        if lower.count(text.lower()) == 1:
            return lower.index(text.lower())
    numbers_are_names = any(name.isdecimal() for name in names)
    if not numbers_are_names and text.isdecimal() and int(text) < len(names):
        return int(text)
    expected = "" if numbers_are_names else f"a class number 0 … {len(names) - 1} or "
    found = f"{key!r} must be {expected}one of the class_names {', '.join(names)}; found {item[key]!r}."
    raise DatalistError(place, found, "Correct it, or num_classes and class_names.")


def _with_candidates(sections: Sections, candidates_file: PathLike, names: Sequence[str]) -> Sections:
    candidates = read_candidates(candidates_file)
    for candidate in candidates:
        place = f"{candidates_file}, a candidate of {candidate['scan']}"
        candidate["label"] = _class_of(candidate, "label", names, place)
    joined: Sections = {section: [] for section in SECTIONS}
    section_of = {scan["image"]: section for section, scans in sections.items() for scan in scans}
    for item in join_candidates(candidates, [scan for scans in sections.values() for scan in scans], candidates_file):
        joined[section_of[item["image"]]].append(item)
    return joined
