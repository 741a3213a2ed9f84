"""Lists of images, or of candidate points in scans, with a class each, split by patient."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import PathLike

from models_genesis_bundle.data.datalists.candidates import join_candidates, read_candidates
from models_genesis_bundle.data.datalists.checks import check_listed_once, check_patients_disjoint
from models_genesis_bundle.data.datalists.class_labels import (
    class_folders,
    class_number,
    named_classes,
    require_all_classes,
)
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, find_json_datalist, read_json_datalist
from models_genesis_bundle.data.datalists.patient_split import complete_split
from models_genesis_bundle.data.datalists.pretraining import list_scans, pretraining_datalist
from models_genesis_bundle.data.datalists.split_file import split_by_file

__all__ = ["classification_datalist", "dataset_class_names", "unlabelled_datalist"]

logger = logging.getLogger(__name__)

IMAGE_LAYOUTS = ("auto", "json", "class_folders")
SCAN_LAYOUTS = ("auto", "json", "luna16", "folder")

Sections = dict[str, list[dict[str, Any]]]


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
) -> Sections:
    """List images or candidates with their class, split by patient.

    ================= ==========================================================================================
    layout            images, classes and split
    ================= ==========================================================================================
    ``json``          the lists ``training``, ``validation`` and ``test`` of a JSON, a class per image under `class_key`
    ``class_folders`` a folder for each class; in sorted order, or in that of `class_names`
    ``auto``          ``json`` for a JSON or a folder with ``datalist.json`` or ``dataset.json``, else ``class_folders``
    ================= ==========================================================================================

    With a `candidates_file`, items are its points, and `dataset_dir` holds the scans, each called as its ``seriesuid``:

    ================= ==========================================================================================
    ``luna16``        ``subset0`` … ``subset4`` train, ``5`` … ``6`` validate, ``7`` … ``9`` test, as in the paper
    ``folder``        any scans below the folder
    ``json``          the scans and split of a JSON
    ``auto``          ``json`` where there is one, ``luna16`` for a folder with ``subset0``, else ``folder``
    ================= ==========================================================================================

    Lists that the data do not name, validation or test, are split off by patient, seeded.

    Args:
        dataset_dir: a folder, or the JSON itself.
        class_key: entry of the JSON that holds the class: its number, true or false, or its name.
        layout: one of the tables.
        patient_regex: see `list_scans`; for class folders it is searched below the class's folder.
        validation_fraction: share of the training patients that validate where the data name no validation list, in
            (0, 1), or their number, 1 or more.
        test_fraction: the same for the test; 0 for none.
        seed: seed of the split.
        split_file: JSON with the lists ``training`` and ``validation`` (``test`` if wanted) of paths of images or
            scans, relative to `dataset_dir` or to itself, that replaces the split; what it does not list is left out.
        candidates_file: CSV of candidate points, see `read_candidates`.
        num_classes: number of classes.
        class_names: their names, in the order of their numbers.

    Returns:
        ``training``, ``validation`` and ``test`` (which may be empty) of ``{"image": path, "label": class number,
        "patient": name}`` with the other plain entries of the JSON, or with ``point`` (x, y, z) in millimetres and LPS
        axes, ``scan`` and the further columns of the CSV.

    Raises:
        FileNotFoundError: no such folder or file, or nothing in it.
        ValueError: data that cannot be understood, a class that is none of the classes, a training or validation list
            without one of them, a patient on both sides, a file named twice, too few patients.
    """
    root = Path(dataset_dir)
    layout = _resolved_layout(root, layout, candidates_file)
    names = dataset_class_names(root, num_classes, class_names, layout, candidates_file)
    if candidates_file is not None:
        sections = _scans(root, layout, patient_regex)
    elif layout == "json":
        sections = _labelled_json(root, class_key, patient_regex, names)
    else:
        sections = _labelled_folders(root, patient_regex, names)
    check_listed_once(item for items in sections.values() for item in items)
    if split_file is not None:
        items = [item for section in SECTIONS for item in sections.get(section, [])]
        sections = split_by_file(items, Path(split_file), root.parent if root.is_file() else root)
    else:
        sections = complete_split(sections, validation_fraction, test_fraction, seed, root)
    check_patients_disjoint(sections)
    if candidates_file is not None:
        sections = _with_candidates(sections, candidates_file, names)
    for section in SECTIONS:
        items = sections[section]
        if section != "test":
            require_all_classes(items, names, section, candidates_file or root)
        classes = ", ".join(f"{sum(i['label'] == n for i in items)} {name!r}" for n, name in enumerate(names))
        logger.info("%s: %s; %d patients", section, classes, len({item["patient"] for item in items}))
    return sections


def dataset_class_names(
    dataset_dir: PathLike,
    num_classes: int = 2,
    class_names: Sequence[str] | None = None,
    layout: str = "auto",
    candidates_file: PathLike | None = None,
) -> list[str]:
    """The names of a dataset's classes in the order of their numbers.

    Args:
        dataset_dir: as for `classification_datalist`, and so all others.
        num_classes: number of classes.
        class_names: the names; None for those of the class folders, else ``class 0``, ``class 1``, ….
        layout: how classes are named there.
        candidates_file: a CSV of candidates names classes by numbers.

    Raises:
        ValueError: another number of names or class folders than `num_classes`, or class folders of other names.
    """
    root = Path(dataset_dir)
    if _resolved_layout(root, layout, candidates_file) != "class_folders":
        return named_classes(num_classes, class_names)
    found = class_folders(root) if root.is_dir() else []
    names = found if class_names is None else named_classes(num_classes, class_names)
    if len(found) != num_classes or set(found) != set(names):
        wanted = f"{num_classes} folders with scans, one for each class" if class_names is None else ", ".join(names)
        raise ValueError(
            f"{root}: expected {wanted}, found {', '.join(found) or 'none'}. Set num_classes and class_names as the "
            "folders are, give a JSON datalist, or a candidates_file for scans without a class of their own."
        )
    return names


def unlabelled_datalist(
    dataset_dir: PathLike, candidates_file: PathLike | None = None, patient_regex: str | None = None
) -> list[dict[str, Any]]:
    """List images, or candidate points in scans, for inference; classes that are there are not looked at.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of candidate points, see `read_candidates`; None for the images themselves.
        patient_regex: see `list_scans`.

    Returns:
        ``{"image": path, "patient": name}``, with ``point`` and ``scan`` for candidates.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        ValueError: candidates that belong to none of the scans, or cannot be understood.
    """
    scans: list[dict[str, Any]] = [dict(scan) for scan in list_scans(dataset_dir, patient_regex)]
    if candidates_file is None:
        return scans
    return join_candidates(read_candidates(candidates_file, labelled=False), scans, candidates_file)


def _resolved_layout(root: Path, layout: str, candidates_file: PathLike | None) -> str:
    layouts = IMAGE_LAYOUTS if candidates_file is None else SCAN_LAYOUTS
    if layout not in layouts:
        known = f"with{'out' if candidates_file is None else ''} a candidates_file"
        raise ValueError(f"layout must be one of {', '.join(layouts)} {known}, got {layout!r}.")
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such folder or datalist. Check dataset_dir.")
    if layout != "auto":
        return layout
    if find_json_datalist(root):
        return "json"
    if candidates_file is None:
        return "class_folders"
    return "luna16" if (root / "subset0").is_dir() else "folder"


def _scans(root: Path, layout: str, patient_regex: str | None) -> Sections:
    if layout == "json":
        file = _required_json(root)
        return read_json_datalist(file, file.parent, patient_regex)
    if layout == "luna16":
        found = pretraining_datalist(root, patient_regex=patient_regex, layout="luna16")
        return {section: [dict(scan) for scan in scans] for section, scans in found.items()}
    return {"training": [dict(scan) for scan in list_scans(root, patient_regex, layout="folder")]}


def _required_json(root: Path) -> Path:
    file = find_json_datalist(root)
    if file is None:
        raise FileNotFoundError(f"{root}: no JSON datalist is there. Name the JSON itself, or set another layout.")
    return file


def _labelled_json(root: Path, class_key: str, patient_regex: str | None, names: Sequence[str]) -> Sections:
    file = _required_json(root)
    sections = read_json_datalist(file, file.parent, patient_regex)
    labelled: Sections = {}
    for section, entries in sections.items():
        having = [entry for entry in entries if class_key in entry]
        if len(having) < len(entries):
            absent = len(entries) - len(having)
            logger.warning("%s: %d entries of %s have no %r and are left out", file, absent, section, class_key)
        labelled[section] = [
            {**entry, "label": _class_of(entry, class_key, names, f"{file}, {section}, {entry['image']}")}
            for entry in having
        ]
    if not labelled["training"]:
        keys = sorted({key for entry in sections["training"] for key in entry} - {"image", "patient"})
        raise ValueError(
            f"{file}: no training entry has the class_key {class_key!r}; its entries have {', '.join(keys) or 'none'}."
        )
    return labelled


def _class_of(item: Mapping[str, Any], key: str, names: Sequence[str], place: str) -> int:
    number = class_number(item[key], names)
    if number is None:
        raise ValueError(
            f"{place}: {key!r} must be a class number 0 … {len(names) - 1} or one of the class_names {', '.join(names)}; "
            f"found {item[key]!r}."
        )
    return number


def _labelled_folders(root: Path, patient_regex: str | None, names: Sequence[str]) -> Sections:
    items = [
        {**scan, "label": number}
        for number, name in enumerate(names)
        for scan in list_scans(root / name, patient_regex, layout="folder")
    ]
    return {"training": items}


def _with_candidates(sections: Sections, candidates_file: PathLike, names: Sequence[str]) -> Sections:
    candidates = read_candidates(candidates_file)
    for candidate in candidates:
        place = f"{candidates_file}, a candidate of {candidate['scan']}"
        candidate["label"] = _class_of(candidate, "label", names, place)
    every = join_candidates(candidates, [scan for scans in sections.values() for scan in scans], candidates_file)
    of_image: dict[str, list[dict[str, Any]]] = {}
    for item in every:
        of_image.setdefault(item["image"], []).append(item)
    return {
        section: [item for scan in scans for item in of_image.get(scan["image"], [])]
        for section, scans in sections.items()
    }
