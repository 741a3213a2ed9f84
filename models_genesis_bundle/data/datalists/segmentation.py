"""Lists of scans with their label maps, split into training, validation and test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai.config import PathLike

from models_genesis_bundle.data.datalists.checks import check_listed_once, check_patients_disjoint
from models_genesis_bundle.data.datalists.folder_split import split_by_folder
from models_genesis_bundle.data.datalists.json_datalist import (
    JSON_NAMES,
    SECTIONS,
    find_json_datalist,
    read_json_datalist,
)
from models_genesis_bundle.data.datalists.label_fraction import take_fraction
from models_genesis_bundle.data.datalists.label_pairs import find_label_pairs
from models_genesis_bundle.data.datalists.patient_split import complete_split
from models_genesis_bundle.data.datalists.split_file import split_by_file

__all__ = ["list_labelled_scans", "segmentation_datalist"]

logger = logging.getLogger(__name__)

_LAYOUTS = ("auto", "json", "pairs")

LabelledDatalist = list[dict[str, Any]]


def list_labelled_scans(
    dataset_dir: PathLike,
    layout: str = "auto",
    image_pattern: str | None = None,
    label_pattern: str | None = None,
    patient_regex: str | None = None,
) -> LabelledDatalist:
    """List all scans of a dataset that have a label map, whatever list of a split they are in.

    Args:
        dataset_dir: as for `segmentation_datalist`, and so are the other arguments.
        layout: one of its table.
        image_pattern: what the path of an image looks like, with ``layout="pairs"``.
        label_pattern: what the path of a label map looks like.
        patient_regex: names the patients.

    Returns:
        ``[{"image": path, "label": path, "patient": name, …}, …]`` sorted by the image's path.

    Raises:
        FileNotFoundError: no such folder or file, or nothing in it has a label.
        ValueError: a datalist that cannot be understood, or a file named twice.
    """
    sections = _read_sections(Path(dataset_dir), layout, image_pattern, label_pattern, patient_regex, keep_split=False)
    scans = [scan for section in SECTIONS for scan in sections.get(section, [])]
    if not scans:
        raise FileNotFoundError(f"{dataset_dir}: none of its lists has an image with a label.")
    check_listed_once(scans)
    return sorted(scans, key=lambda scan: scan["image"])


def segmentation_datalist(
    dataset_dir: PathLike,
    layout: str = "auto",
    image_pattern: str | None = None,
    label_pattern: str | None = None,
    patient_regex: str | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
    split_file: PathLike | None = None,
    label_fraction: float = 1.0,
    label_fraction_seed: int = 0,
) -> dict[str, LabelledDatalist]:
    """List the scans of a dataset with their label maps, split by patient.

    ========= ==========================================================================================
    layout    images and labels
    ========= ==========================================================================================
    ``json``  the lists ``training``, ``validation`` and ``test`` of the JSON, each entry with ``image`` and ``label``;
              those without label, as in the Decathlon's test list, are left out
    ``pairs`` files below the folder, paired by their names, see `find_label_pairs`
    ``auto``  ``pairs`` when patterns are given; else ``json`` for a JSON file or a folder with ``datalist.json`` or
              ``dataset.json``; else ``pairs``
    ========= ==========================================================================================

    A split that the data name is used: the lists of the JSON, folders such as ``imagesTr`` and ``imagesTs``. A
    validation or test list that they do not name is taken from the training patients.

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        layout: one of the table.
        image_pattern: regular expression that the path of an image matches, see `find_label_pairs`.
        label_pattern: the same for label maps.
        patient_regex: names the patients where the data do not, see `list_scans`.
        validation_fraction: below 1 a share, from 1 a number of the training patients that validate, where the data
            name no validation.
        test_fraction: the same for the test; 0 leaves it empty.
        seed: seed of the split.
        split_file: JSON with the lists ``training`` and ``validation`` (``test`` if wanted) of images, relative to
            `dataset_dir` or to itself, that replaces the split.
        label_fraction: share of the training patients, in (0, 1], that is kept, at least one patient; see
            `take_fraction`. Validation and test stay whole.
        label_fraction_seed: which patients these are.

    Returns:
        ``training``, ``validation`` and ``test`` (which may be empty): ``[{"image": path, "label": path, "patient":
        name, …}, …]`` sorted by the image's path, with whatever plain entries a JSON has beside.

    Raises:
        FileNotFoundError: no such folder or file, nothing that pairs, or a listed file is not there.
        ValueError: too few patients for the split, a patient in two lists, a file named twice, a datalist, split file or
            pattern that cannot be understood.
    """
    root = Path(dataset_dir)
    if split_file is not None:
        scans = list_labelled_scans(root, layout, image_pattern, label_pattern, patient_regex)
        datalist = split_by_file(scans, Path(split_file), root.parent if root.is_file() else root)
    else:
        sections = _read_sections(root, layout, image_pattern, label_pattern, patient_regex, keep_split=True)
        datalist = complete_split(sections, validation_fraction, test_fraction, seed, root)
    for scans in datalist.values():
        scans.sort(key=lambda scan: scan["image"])
    check_listed_once([scan for scans in datalist.values() for scan in scans])
    check_patients_disjoint(datalist)
    kept = take_fraction(datalist["training"], label_fraction, label_fraction_seed)
    if label_fraction < 1:
        logger.info(
            "label_fraction=%g keeps the labels of %d of %d training patients",
            label_fraction,
            _number_of_patients(kept),
            _number_of_patients(datalist["training"]),
        )
    datalist["training"] = kept
    for section, scans in datalist.items():
        logger.info("%s: %d labelled scans of %d patients", section, len(scans), _number_of_patients(scans))
    return datalist


def _number_of_patients(scans: LabelledDatalist) -> int:
    return len({scan["patient"] for scan in scans})


def _read_sections(
    root: Path,
    layout: str,
    image_pattern: str | None,
    label_pattern: str | None,
    patient_regex: str | None,
    keep_split: bool,
) -> dict[str, LabelledDatalist]:
    if layout not in _LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(_LAYOUTS)}, got {layout!r}.")
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such folder or datalist. Check dataset_dir.")
    patterns = image_pattern is not None or label_pattern is not None
    file = find_json_datalist(root)
    if layout == "auto":
        layout = "json" if file is not None and not patterns else "pairs"
        logger.info("%s is read with layout=%s", root, layout)
    if layout == "pairs":
        if not root.is_dir():
            raise ValueError(f"{root}: layout=pairs wants a folder, this is a file.")
        scans = find_label_pairs(root, image_pattern, label_pattern, patient_regex)
        return split_by_folder(scans, root) if keep_split else {"training": scans}
    if patterns:
        raise ValueError("image_pattern and label_pattern belong to layout=pairs; leave them out for layout=json.")
    if file is None:
        raise FileNotFoundError(f"{root}: it holds none of {', '.join(JSON_NAMES)}. Name the JSON itself.")
    required = ("training",) if keep_split else ()
    return read_json_datalist(file, file.parent, patient_regex, required, file_keys=("image", "label"))
