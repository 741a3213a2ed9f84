"""Lists of images, or of candidate points in scans, with a class each, split by patient."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.candidates import join_candidates, read_candidates
from models_genesis_bundle.data.datalists.checks import DatalistError, check_listed_once, check_patients_disjoint
from models_genesis_bundle.data.datalists.datalist_table import log_datalist
from models_genesis_bundle.data.datalists.find_scans import find_scans
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS
from models_genesis_bundle.data.datalists.layouts import DatasetRequest, Sections, read_dataset, resolved_layout
from models_genesis_bundle.data.datalists.pretraining import list_scans
from models_genesis_bundle.data.datalists.splits import SplitRequest, split_by_file, split_sections
from models_genesis_bundle.data.scans.channels import Channels
from monai.config import PathLike

__all__ = [
    "class_number",
    "classification_datalist",
    "dataset_class_names",
    "named_classes",
    "require_all_classes",
    "unlabelled_datalist",
]


def named_classes(num_classes: int, class_names: Sequence[str] | None = None) -> list[str]:
    """The names of the classes in the order of their numbers; without any, ``class 0``, ``class 1``, ….

    Raises:
        DatalistError: as many names as classes are needed, each once.
    """
    if class_names is None:
        return [f"class {number}" for number in range(num_classes)]
    names = [str(name) for name in class_names]
    if len(set(names)) != num_classes or len(names) != num_classes:
        raise DatalistError(
            "class_names", f"expected {num_classes} different names (num_classes), found {names}.", "Correct them."
        )
    return names


def class_number(value: Any, class_names: Sequence[str]) -> int | None:
    """The number of the class that a datalist's entry names: a whole number, true or false, or one of ``class_names``.

    Returns:
        0 … number of classes - 1, or None for anything else.
    """
    if isinstance(value, str) and value in class_names:
        return list(class_names).index(value)
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if number == float(value) and 0 <= number < len(class_names) else None


def require_all_classes(
    items: Sequence[Mapping[str, Any]], class_names: Sequence[str], section: str, source: Any
) -> None:
    """Refuse a list without one of the classes: nothing can be learnt of it, nor any AUC be computed.

    Raises:
        DatalistError: with the number of items of each class, and what to do.
    """
    counts = Counter(item["label"] for item in items)
    if any(not counts[number] for number in range(len(class_names))):
        found = ", ".join(f"{counts[number]} of {name!r}" for number, name in enumerate(class_names))
        raise DatalistError(
            source,
            f"the {section} list needs items of each class, found {found}.",
            "Change validation_fraction, test_fraction or the seed of the split, name it in a split_file, or correct "
            "num_classes and class_names.",
        )


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
        channels: how many channels a scan has, or their names, see `segmentation_datalist`.

    Returns:
        ``training``, ``validation`` and ``test`` (which may be empty) of ``{"image": path, "label": class number,
        "patient": name}`` with the other plain entries of the JSON, or with ``point`` (x, y, z) in millimetres and LPS
        axes, ``scan`` and the further columns of the CSV; with ``channel_files`` where a scan has a file for each channel.

    Raises:
        FileNotFoundError: no such folder or file, or nothing in it.
        DatalistError: data that cannot be understood, a class that is none of the classes, a training or validation list
            without one of them, a patient on both sides, a file named twice, too few patients.

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
    names = dataset_class_names(dataset_dir, num_classes, class_names, layout, candidates_file)
    request = replace(
        _request(dataset_dir, layout, candidates_file),
        patient_regex=patient_regex,
        class_names=tuple(names),
        channels=channels,
    )
    dataset = read_dataset(request)
    sections = dataset.sections
    if candidates_file is None and resolved_layout(request) == "json":
        sections = _with_classes(sections, class_key, names, request.root)
    check_listed_once(item for items in sections.values() for item in items)
    if split_file is not None:
        items = [item for section in SECTIONS for item in sections.get(section, [])]
        sections = split_by_file(items, Path(split_file), request.base)
    else:
        sections = split_sections(sections, split, request.root)
    check_patients_disjoint(sections)
    log_datalist(request, sections, dataset.told_by, dataset.found)
    if candidates_file is not None:
        sections = _with_candidates(sections, candidates_file, names)
    for section in SECTIONS:
        items = sections[section]
        if section != "test":
            require_all_classes(items, names, section, candidates_file or request.root)
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
        DatalistError: another number of names or class folders than `num_classes`, or class folders of other names.
    """
    root = Path(dataset_dir)
    if resolved_layout(_request(root, layout, candidates_file)) != "class_folders":
        return named_classes(num_classes, class_names)
    found = sorted({scan.relative_to(root).parts[0] for scan in find_scans(root)}) if root.is_dir() else []
    found = [name for name in found if (root / name).is_dir()]
    names = found if class_names is None else named_classes(num_classes, class_names)
    if len(found) != num_classes or set(found) != set(names):
        wanted = f"{num_classes} folders with scans, one for each class" if class_names is None else ", ".join(names)
        raise DatalistError(
            root,
            f"expected {wanted}, found {', '.join(found) or 'none'}.",
            "Set num_classes and class_names as the folders are, give a JSON datalist, or a candidates_file for scans "
            "without a class of their own.",
        )
    return names


def unlabelled_datalist(
    dataset_dir: PathLike,
    candidates_file: PathLike | None = None,
    patient_regex: str | None = None,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List images, or candidate points in scans, for inference; classes that are there are not looked at.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of candidate points, see `read_candidates`; None for the images themselves.
        patient_regex: see `list_scans`.
        channels: how many channels a scan has, or their names, see `segmentation_datalist`.

    Returns:
        ``{"image": path, "patient": name}``, with ``channel_files`` where a scan has a file for each channel, and with ``point``
        and ``scan`` for candidates.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        DatalistError: candidates that belong to none of the scans, or cannot be understood.
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
        having = [entry for entry in entries if class_key in entry]
        if len(having) < len(entries):
            absent = len(entries) - len(having)
            logger.warning("%s: %d entries of %s have no %r and are left out", source, absent, section, class_key)
        labelled[section] = [
            {**entry, "label": _class_of(entry, class_key, names, f"{source}, {section}, {entry['image']}")}
            for entry in having
        ]
    if not labelled["training"]:
        keys = sorted({key for entry in sections["training"] for key in entry} - {"image", "patient"})
        raise DatalistError(
            source,
            f"no training entry has the class_key {class_key!r}; its entries have {', '.join(keys) or 'none'}.",
            "Set class_key to the one that holds the class.",
        )
    return labelled


def _class_of(item: Mapping[str, Any], key: str, names: Sequence[str], place: str) -> int:
    number = class_number(item[key], names)
    if number is None:
        raise DatalistError(
            place,
            f"{key!r} must be a class number 0 … {len(names) - 1} or one of the class_names {', '.join(names)}; "
            f"found {item[key]!r}.",
            "Correct it, or num_classes and class_names.",
        )
    return number


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
