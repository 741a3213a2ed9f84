"""Lists of scans, and of scans with their label maps, split by patient."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.checks import checked_split, checked_whole
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from models_genesis_bundle.data.datalists.layouts import Dataset, DatasetRequest, Sections, read_dataset
from models_genesis_bundle.data.datalists.splits import SplitRequest, take_fraction
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, Channels, scan_files
from monai.config import PathLike

_labelled = partial(DatasetRequest, layouts=("json", "pairs"), labelled=True)


def list_scans(
    dataset_dir: PathLike,
    patient_regex: str | None = None,
    layout: str = "auto",
    spatial_dims: int = 3,
    channels: Channels | None = None,
) -> list[dict[str, Any]]:
    """List all scans of a dataset with their patients.

    Args:
        dataset_dir: a folder, the JSON datalist itself, or a single scan.
        patient_regex: regular expression that is searched in a scan's path relative to `dataset_dir`. The patient is its group
            ``patient``, otherwise its first group, otherwise the whole match. With None, the names of folders and files
            identify the patients. An entry ``patient`` in a JSON has precedence.
        layout: see `pretraining_datalist`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.
        channels: number or names of a scan's channels, see `segmentation_datalist`; None: each file is a separate scan.

    Returns:
        ``[{"image": path, "patient": name}, …]`` sorted by path; with ``channel_files`` if a scan has a file for each channel.

    Raises:
        FileNotFoundError: the folder or file does not exist, or contains no scan.
        DatalistError: the datalist is invalid, `patient_regex` does not match, or a file is listed twice.

    Examples:
        >>> from models_genesis_bundle.data import list_scans
        >>> [scan["patient"] for scan in list_scans("phantoms/images")]
        ['phantom_000', 'phantom_001', 'phantom_002', 'phantom_003']
    """
    request = DatasetRequest(
        dataset_dir, layout, patient_regex=patient_regex, spatial_dims=spatial_dims, channels=channels, required=()
    )
    return checked_whole(request, _scans_only(read_dataset(request), each_file=channels is None))


def pretraining_datalist(
    dataset_dir: PathLike,
    validation_fraction: float = 0.2,
    seed: int = 0,
    split_file: PathLike | None = None,
    patient_regex: str | None = None,
    layout: str = "auto",
    spatial_dims: int = 3,
) -> Sections:
    """List the scans of a dataset, split by patient.

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        validation_fraction: fraction (below 1) or number of the patients for validation, if the data have no split.
        seed: random seed of the split.
        split_file: JSON with the lists ``training``, ``validation`` and optionally ``test`` of paths relative to `dataset_dir`
            or to its folder; it replaces the split.
        patient_regex: see `list_scans`.
        layout: ``json`` for the lists of a JSON; ``luna16`` for ``subset0`` … ``subset9``, split as in the paper; ``folder``
            for any scans; ``auto`` for the first of these that the data have.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.

    Returns:
        ``training``, ``validation`` and ``test`` (may be empty): ``[{"image": path, "patient": name}, …]`` sorted by path. No
        patient is in two lists. If a scan has a file for each channel, each file is a separate scan.

    Raises:
        FileNotFoundError: the folder, file or a listed file does not exist, or there is no scan.
        DatalistError: a fraction is out of range, there are too few patients, a patient is in two lists, a file is listed
            twice, or the datalist or split file is invalid.

    Examples:
        >>> from models_genesis_bundle.data import pretraining_datalist
        >>> {name: len(scans) for name, scans in pretraining_datalist("phantoms/images", validation_fraction=0.25).items()}
        {'training': 3, 'validation': 1, 'test': 0}
    """
    split = SplitRequest(validation_fraction, seed=seed)
    request = DatasetRequest(dataset_dir, layout, patient_regex=patient_regex, spatial_dims=spatial_dims)
    if split_file is not None:
        dataset = Dataset(read_json_datalist(Path(split_file), request.base, patient_regex, ("training", "validation")))
    else:
        dataset = read_dataset(request)
    return checked_split(request, _scans_only(dataset, each_file=True), split)


def _scans_only(dataset: Dataset, each_file: bool) -> Dataset:
    """The sorted scans of each list without their other entries; with `each_file`, each file is a separate scan."""
    scans: Sections = {section: [] for section in SECTIONS}
    for section, items in dataset.sections.items():
        for item in items:
            files = scan_files(item)
            if each_file or len(files) == 1:
                scans[section].extend({"image": file, "patient": item["patient"]} for file in files)
            else:
                scans[section].append({"image": files[0], "patient": item["patient"], CHANNEL_FILES: files})
        scans[section].sort(key=lambda scan: scan["image"])
    return replace(dataset, sections=scans)


def list_labelled_scans(
    dataset_dir: PathLike,
    layout: str = "auto",
    image_pattern: str | None = None,
    label_pattern: str | None = None,
    patient_regex: str | None = None,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List all scans of a dataset with a label map, from all lists of its split.

    See `segmentation_datalist` for the arguments.

    Returns:
        ``[{"image": path, "label": path, "patient": name, …}, …]`` sorted by the image's path.

    Raises:
        FileNotFoundError: the folder or file does not exist, or no image has a label.
        DatalistError: the datalist is invalid, or a file is listed twice.

    Examples:
        >>> from models_genesis_bundle.data import list_labelled_scans
        >>> len(list_labelled_scans("phantoms"))
        4
    """
    request = _labelled(
        dataset_dir,
        layout,
        patient_regex=patient_regex,
        image_pattern=image_pattern,
        label_pattern=label_pattern,
        required=(),
        channels=channels,
    )
    dataset = read_dataset(request)
    if not dataset.items:
        raise FileNotFoundError(f"{dataset_dir}: none of its lists has an image with a label.")
    return checked_whole(request, dataset)


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

    The split is that of the data: the lists of the JSON, or folders such as ``imagesTr`` and ``imagesTs``. A missing validation
    or test list gets random training patients.

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        layout: ``json`` for the lists of a JSON, without entries that have no ``label``; ``pairs`` for files in a folder, which
            are paired by their names or by the patterns; ``auto`` for ``json`` if there is a JSON and no pattern.
        image_pattern: regular expression that is searched in the paths of images, relative to `dataset_dir`. An image and a
            label map are a pair if the group ``case`` (otherwise the first group) and all groups that both patterns name are
            the same in both. A group ``patient`` is the patient.
        label_pattern: regular expression for the paths of label maps.
        patient_regex: finds the patients if the data do not name them, see `list_scans`.
        validation_fraction: fraction (below 1) or number of the training patients for a missing validation list.
        test_fraction: fraction or number of the training patients for a missing test list; 0 leaves it empty.
        seed: random seed of the split.
        split_file: JSON with the lists ``training``, ``validation`` and optionally ``test`` of images relative to `dataset_dir`
            or to its folder; it replaces the split.
        label_fraction: fraction of the training patients to keep, in (0, 1], see `take_fraction`.
        label_fraction_seed: another seed keeps other patients.
        shots: number of training patients to keep, instead of `label_fraction`.
        channels: number or names of a scan's channels. A scan with several channels is a list of files under ``image`` in a
            JSON, files in a folder whose names end with the channels' names or nnU-Net's numbers, or one file with a volume for
            each channel.

    Returns:
        ``training``, ``validation`` and ``test`` (may be empty): ``[{"image": path, "label": path, "patient": name, …}, …]``
        sorted by the image's path, with the other plain entries of a JSON. If a scan has a file for each channel,
        ``channel_files`` has all files, and ``image`` the first.

    Raises:
        FileNotFoundError: the folder, file or a listed file does not exist, or there is no pair.
        DatalistError: there are too few patients, a patient is in two lists, a file is listed twice, or the datalist, split file
            or a pattern is invalid.

    Examples:
        >>> from models_genesis_bundle.data import segmentation_datalist
        >>> datalist = segmentation_datalist("phantoms", validation_fraction=1, test_fraction=1)
        >>> {name: len(scans) for name, scans in datalist.items()}
        {'training': 2, 'validation': 1, 'test': 1}
    """
    split = SplitRequest(validation_fraction, test_fraction, seed)
    request = _labelled(
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
    return datalist | {
        "training": take_fraction(datalist["training"], label_fraction, label_fraction_seed, shots=shots)
    }
