"""Lists of scans with their label maps, split into training, validation and test."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from models_genesis_bundle.data.datalists.checked_split import checked_split, log_datalist
from models_genesis_bundle.data.datalists.checks import check_listed_once
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS
from models_genesis_bundle.data.datalists.layouts import DatasetRequest, Sections, read_dataset
from models_genesis_bundle.data.datalists.splits import SplitRequest, take_fraction
from models_genesis_bundle.data.scans.files import Channels
from monai.config import PathLike

__all__ = ["list_labelled_scans", "segmentation_datalist"]

logger = logging.getLogger(__name__)

_request = partial(DatasetRequest, layouts=("json", "pairs"), file_keys=("image", "label"))


def list_labelled_scans(
    dataset_dir: PathLike,
    layout: str = "auto",
    image_pattern: str | None = None,
    label_pattern: str | None = None,
    patient_regex: str | None = None,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List all scans of a dataset that have a label map, of all lists of its split.

    Args:
        dataset_dir: as for `segmentation_datalist`, and so are the other arguments.
        layout: one of its table.
        image_pattern: regular expression for the paths of images, with ``layout="pairs"``.
        label_pattern: the same for label maps.
        patient_regex: finds the patients.
        channels: number or names of a scan's channels.

    Returns:
        ``[{"image": path, "label": path, "patient": name, …}, …]`` sorted by the image's path.

    Raises:
        FileNotFoundError: no such folder or file, or nothing in it has a label.
        DatalistError: an invalid datalist, or a file that is listed twice.

    Examples:
        >>> from models_genesis_bundle.data import list_labelled_scans
        >>> len(list_labelled_scans("phantoms"))
        4
    """
    request = _request(
        dataset_dir,
        layout,
        patient_regex=patient_regex,
        image_pattern=image_pattern,
        label_pattern=label_pattern,
        required=(),
        channels=channels,
    )
    dataset = read_dataset(request)
    scans = [scan for section in SECTIONS for scan in dataset.sections.get(section, [])]
    if not scans:
        raise FileNotFoundError(f"{dataset_dir}: none of its lists has an image with a label.")
    check_listed_once(scans)
    scans.sort(key=lambda scan: scan["image"])
    log_datalist(request, dataset, {"training": scans})
    return scans


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
    shots: int | None = None,
    channels: Channels = 1,
) -> Sections:
    """List the scans of a dataset with their label maps, split by patient.

    ========= ==========================================================================================
    layout    images and labels
    ========= ==========================================================================================
    ``json``  the lists ``training``, ``validation`` and ``test`` of the JSON, each entry with ``image`` and ``label``;
              entries without a label, as in the Decathlon's test list, are left out
    ``pairs`` files below the folder, paired by their names or by the patterns
    ``auto``  ``pairs`` when patterns are given; else ``json`` for a JSON file or a folder with ``datalist.json`` or
              ``dataset.json``; else ``pairs``
    ========= ==========================================================================================

    A split of the data is used: the lists of the JSON, or folders such as ``imagesTr`` and ``imagesTs``. A missing list for
    validation or test is taken from the training patients.

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        layout: one of the table.
        image_pattern: regular expression that is searched in the paths of images, relative to `dataset_dir`. An image and a
            label map are a pair if the group ``case``, or else the first group, is the same in both, and so is every other
            group that both patterns name. A group ``patient`` is the patient.
        label_pattern: the same for label maps.
        patient_regex: finds the patients if the data do not name them, see `list_scans`.
        validation_fraction: below 1 a share, from 1 a number of the training patients, for a missing validation list.
        test_fraction: the same for the test; 0 leaves it empty.
        seed: seed of the split.
        split_file: JSON with the lists ``training`` and ``validation``, and perhaps ``test``, of images, relative to
            `dataset_dir` or to itself; it replaces the split.
        label_fraction: share of the training patients, in (0, 1], that is kept, at least one patient; see
            `take_fraction`. Validation and test stay whole.
        label_fraction_seed: another seed keeps other patients.
        shots: number of training patients that are kept, instead of `label_fraction`.
        channels: number of a scan's channels, or their names. A scan with several channels is a list of files under ``image``
            in a JSON, files of a folder whose names end with the channels' names or with nnU-Net's numbers, or one file with
            a volume for each channel.

    Returns:
        ``training``, ``validation`` and ``test`` (perhaps empty): ``[{"image": path, "label": path, "patient": name, …}, …]``
        sorted by the image's path, with the other plain entries of a JSON. If a scan has a file for each channel, all of
        them are under ``channel_files``, and ``image`` is the first.

    Raises:
        FileNotFoundError: no such folder or file, no pair, or a listed file does not exist.
        DatalistError: too few patients for the split, a patient in two lists, a file that is listed twice, an invalid datalist,
            split file or pattern.

    Examples:
        >>> from models_genesis_bundle.data import segmentation_datalist
        >>> datalist = segmentation_datalist("phantoms", validation_fraction=1, test_fraction=1)
        >>> {name: len(scans) for name, scans in datalist.items()}
        {'training': 2, 'validation': 1, 'test': 1}
    """
    split = SplitRequest(validation_fraction, test_fraction, seed)
    request = _request(
        dataset_dir,
        layout,
        patient_regex=patient_regex,
        image_pattern=image_pattern,
        label_pattern=label_pattern,
        required=() if split_file else ("training",),
        channels=channels,
    )
    datalist = checked_split(request, read_dataset(request), split, split_file)
    for scans in datalist.values():
        scans.sort(key=lambda scan: scan["image"])
    kept = take_fraction(datalist["training"], label_fraction, label_fraction_seed, shots=shots)
    if label_fraction < 1 or shots is not None:
        patients = [len({scan["patient"] for scan in scans}) for scans in (kept, datalist["training"])]
        setting = f"label_fraction={label_fraction:g}" if shots is None else f"shots={shots}"
        logger.info("%s keeps the labels of %d of %d training patients", setting, *patients)
    return datalist | {"training": kept}
