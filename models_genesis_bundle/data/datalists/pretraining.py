"""Lists of scans with their patients, and their split into training, validation and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.checked_split import checked_split, log_datalist
from models_genesis_bundle.data.datalists.checks import check_listed_once
from models_genesis_bundle.data.datalists.json_datalist import SECTIONS, read_json_datalist
from models_genesis_bundle.data.datalists.layouts import Dataset, DatasetRequest, Sections, read_dataset
from models_genesis_bundle.data.datalists.splits import SplitRequest
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, Channels, scan_files
from monai.config import PathLike

__all__ = ["list_scans", "pretraining_datalist"]


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
        patient_regex: regular expression that is searched in a scan's path relative to `dataset_dir`. Its group ``patient``,
            else its first group, else the whole match is the patient. None: the folders and names tell the patients apart.
            An entry ``patient`` in a JSON has precedence.
        layout: as for `pretraining_datalist`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.
        channels: number or names of a scan's channels, see `segmentation_datalist`; None: each file is a scan of its own.

    Returns:
        ``[{"image": path, "patient": name}, …]`` sorted by path; with ``channel_files`` if a scan has a file for each channel.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        DatalistError: an invalid datalist, a `patient_regex` that does not match, a file that is listed twice.

    Examples:
        >>> from models_genesis_bundle.data import list_scans
        >>> [scan["patient"] for scan in list_scans("phantoms/images")]
        ['phantom_000', 'phantom_001', 'phantom_002', 'phantom_003']
    """
    request = DatasetRequest(
        dataset_dir, layout, patient_regex=patient_regex, spatial_dims=spatial_dims, channels=channels
    )
    dataset = read_dataset(request)
    scans = _scans_only(dataset.sections, each_file=channels is None)
    every = sorted((scan for section in SECTIONS for scan in scans[section]), key=lambda scan: scan["image"])
    check_listed_once(every)
    log_datalist(request, dataset, {"training": every})
    return every


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

    ========== ==========================================================================================
    layout     split
    ========== ==========================================================================================
    ``folder`` the patients are shuffled by `seed`; ``validation_fraction`` of them, at least one, are for validation
    ``json``   the lists ``training``, ``validation`` and ``test`` of the JSON; without ``validation``, the
               training patients are split like those of a folder
    ``luna16`` ``subset0`` … ``subset4`` train, ``5`` … ``6`` validate, ``7`` … ``9`` test, as in the paper
    ``auto``   ``json`` for a JSON file or a folder with ``datalist.json`` or ``dataset.json``, ``luna16`` for a
               folder with ``subset0``, else ``folder``
    ========== ==========================================================================================

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        validation_fraction: below 1 a share, from 1 a number of the patients for validation, if the data have no split.
        seed: seed of the split.
        split_file: JSON with the lists ``training`` and ``validation``, and perhaps ``test``, of paths, relative to
            `dataset_dir` or to itself; it replaces the split.
        patient_regex: see `list_scans`.
        layout: one of the table.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.

    Returns:
        ``training``, ``validation`` and ``test`` (perhaps empty): ``[{"image": path, "patient": name}, …]`` sorted by path. No
        patient is in two of them. If a scan has a file for each channel, each is a scan of its own.

    Raises:
        FileNotFoundError: no such folder or file, no scan in it, or a listed file does not exist.
        DatalistError: a fraction out of range, too few patients, a patient in two lists, an invalid datalist or split file, a
            file that is listed twice.

    Examples:
        >>> from models_genesis_bundle.data import pretraining_datalist
        >>> {name: len(scans) for name, scans in pretraining_datalist("phantoms/images", validation_fraction=0.25).items()}
        {'training': 3, 'validation': 1, 'test': 0}
    """
    split = SplitRequest(validation_fraction, seed=seed)
    request = DatasetRequest(dataset_dir, layout, patient_regex=patient_regex, spatial_dims=spatial_dims)
    if split_file is not None:
        required = ("training", "validation")
        listed = read_json_datalist(Path(split_file), request.base, patient_regex, required)
        dataset = Dataset(listed, "the entries of the split_file, or their paths")
    else:
        dataset = read_dataset(request)
    sections = _scans_only(dataset.sections, each_file=True)
    for scans in sections.values():
        scans.sort(key=lambda scan: scan["image"])
    return checked_split(request, replace(dataset, sections=sections), split)


def _scans_only(sections: Sections, each_file: bool) -> Sections:
    """The scans of each list without their other entries; each file of a scan by itself, or all together."""
    scans: Sections = {section: [] for section in SECTIONS}
    for section, items in sections.items():
        for item in items:
            files = scan_files(item)
            if each_file or len(files) == 1:
                scans[section].extend({"image": file, "patient": item["patient"]} for file in files)
            else:
                scans[section].append({"image": files[0], "patient": item["patient"], CHANNEL_FILES: files})
    return scans
