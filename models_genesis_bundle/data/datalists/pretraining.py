"""Lists of scans with their patients, and their split into training, validation and test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import PathLike

from models_genesis_bundle.data.datalists.checks import check_listed_once, check_patients_disjoint
from models_genesis_bundle.data.datalists.find_scans import find_scans
from models_genesis_bundle.data.datalists.json_datalist import (
    JSON_NAMES,
    SECTIONS,
    find_json_datalist,
    read_json_datalist,
)
from models_genesis_bundle.data.datalists.patient_split import split_by_patient
from models_genesis_bundle.data.datalists.patients import patient_names
from models_genesis_bundle.data.scans.files import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    SCAN_SUFFIXES,
    is_scan_file,
)

__all__ = ["list_scans", "pretraining_datalist"]

logger = logging.getLogger(__name__)

LAYOUTS = ("auto", "folder", "json", "luna16")

_LUNA16_SUBSETS = {"training": range(0, 5), "validation": range(5, 7), "test": range(7, 10)}

Datalist = list[dict[str, str]]


def list_scans(
    dataset_dir: PathLike,
    patient_regex: str | None = None,
    layout: str = "auto",
    spatial_dims: int = 3,
) -> Datalist:
    """List all scans of a dataset with their patients.

    Args:
        dataset_dir: a folder, the JSON datalist itself, or a single scan.
        patient_regex: regular expression that is searched in a scan's path relative to `dataset_dir` (with ``/``);
            its group ``patient``, else its first group, else the whole match is the patient. Without it, the patient
            is the first folder that is not merely a grouping one (``imagesTr``, ``train``, ``subset0`` …) when the
            scans lie in at least two such folders, else the name of the scan without its suffix. A ``patient`` entry
            in a JSON comes first.
        layout: as for `pretraining_datalist`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files count, too.

    Returns:
        ``[{"image": path, "patient": name}, …]`` sorted by path, the same for every call.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        ValueError: a datalist that cannot be understood, a `patient_regex` that does not match, a file named twice.
    """
    sections = _read_sections(Path(dataset_dir), patient_regex, layout, spatial_dims)
    scans = [scan for section in SECTIONS for scan in sections.get(section, [])]
    check_listed_once(scans)
    return sorted(scans, key=lambda scan: scan["image"])


def pretraining_datalist(
    dataset_dir: PathLike,
    validation_fraction: float = 0.2,
    seed: int = 0,
    split_file: PathLike | None = None,
    patient_regex: str | None = None,
    layout: str = "auto",
    spatial_dims: int = 3,
) -> dict[str, Datalist]:
    """List the scans of a dataset, split by patient.

    ========== ==========================================================================================
    layout     split
    ========== ==========================================================================================
    ``folder`` patients are shuffled by `seed`; ``validation_fraction`` of them, at least one, validate
    ``json``   the lists ``training``, ``validation`` and ``test`` of the JSON; without ``validation``, the
               training patients are split as those of a folder
    ``luna16`` ``subset0`` … ``subset4`` train, ``5`` … ``6`` validate, ``7`` … ``9`` test, as in the paper
    ``auto``   ``json`` for a JSON file or a folder with ``datalist.json`` or ``dataset.json``, ``luna16`` for a
               folder with ``subset0``, else ``folder``
    ========== ==========================================================================================

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        validation_fraction: share of the patients that validate where the data name no split, in (0, 1).
        seed: seed of the split.
        split_file: JSON with the lists ``training`` and ``validation`` (``test`` if wanted) of paths, relative to
            `dataset_dir` or to itself, that replaces the split.
        patient_regex: see `list_scans`.
        layout: one of the table.
        spatial_dims: with 2, PNG, JPEG and single DICOM files count, too.

    Returns:
        ``training``, ``validation`` and ``test`` (which may be empty), each as `list_scans` gives it.

    Raises:
        FileNotFoundError: no such folder or file, no scan in it, or a listed scan is not there.
        ValueError: fewer than two patients, a patient on both sides, a split file or datalist that cannot be
            understood, a file named twice.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction must lie between 0 and 1, got {validation_fraction}.")
    root = Path(dataset_dir)
    if split_file is not None:
        base = root.parent if root.is_file() else root
        sections = _scans_only(
            read_json_datalist(Path(split_file), base, patient_regex, required=("training", "validation"))
        )
    else:
        sections = _read_sections(root, patient_regex, layout, spatial_dims)
    for scans in sections.values():
        scans.sort(key=lambda scan: scan["image"])
    if not sections.get("validation"):
        sections |= split_by_patient(sections["training"], {"validation": validation_fraction}, seed, root)
    datalist = {section: sections.get(section, []) for section in SECTIONS}
    check_listed_once([scan for scans in datalist.values() for scan in scans])
    check_patients_disjoint(datalist)
    for section, scans in datalist.items():
        logger.info("%s: %d scans of %d patients", section, len(scans), len({scan["patient"] for scan in scans}))
    return datalist


def _read_sections(root: Path, patient_regex: str | None, layout: str, spatial_dims: int) -> dict[str, Datalist]:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}.")
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such folder or datalist. Check dataset_dir.")
    file = find_json_datalist(root)
    if layout == "auto":
        if file is not None:
            layout = "json"
        else:
            layout = "luna16" if (root / "subset0").is_dir() else "folder"
        logger.info("%s is read with layout=%s", root, layout)
    if layout == "json":
        if file is None:
            raise FileNotFoundError(f"{root}: it holds none of {', '.join(JSON_NAMES)}. Name the JSON itself.")
        return _scans_only(read_json_datalist(file, file.parent, patient_regex))
    if layout == "folder" and root.is_file() and is_scan_file(root):
        return {"training": _with_patients([root], root.parent, patient_regex)}
    if not root.is_dir():
        raise ValueError(f"{root}: layout={layout} wants a folder, this is a file.")
    if layout == "luna16":
        return _read_luna16(root, patient_regex, spatial_dims)
    scans = find_scans(root, spatial_dims)
    if not scans:
        raise FileNotFoundError(f"{root}: no scan below this folder. {_looked_for(root, spatial_dims)}")
    return {"training": _with_patients(scans, root, patient_regex)}


def _looked_for(root: Path, spatial_dims: int) -> str:
    dicom = ", ".join(DICOM_SUFFIXES)
    if spatial_dims == 2:
        return f"Looked for {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)} and DICOM files ({dicom})."
    sought = f"Looked for {', '.join(SCAN_SUFFIXES)} and folders of DICOM slices ({dicom})."
    pictures = len(find_scans(root, spatial_dims=2))
    return f"{sought} Its {pictures} flat images want spatial_dims=2 and a 2D network." if pictures else sought


def _read_luna16(root: Path, patient_regex: str | None, spatial_dims: int) -> dict[str, Datalist]:
    sections: dict[str, Datalist] = {}
    for section, subsets in _LUNA16_SUBSETS.items():
        folders = [root / f"subset{number}" for number in subsets]
        scans = [scan for folder in folders if folder.is_dir() for scan in find_scans(folder, spatial_dims)]
        if not scans and section != "test":
            raise FileNotFoundError(
                f"{root}: no scan for {section} in {', '.join(folder.name for folder in folders)}. Fetch these LUNA16 "
                "subsets, or set layout='folder' for a seeded split of what is there."
            )
        missing = [folder.name for folder in folders if not folder.is_dir()]
        if missing:
            logger.warning("%s: without %s, which belong to LUNA16's %s set", root, ", ".join(missing), section)
        sections[section] = _with_patients(scans, root, patient_regex, folders_are_patients=False)
    return sections


def _scans_only(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Datalist]:
    return {
        section: [{"image": entry["image"], "patient": entry["patient"]} for entry in entries]
        for section, entries in sections.items()
    }


def _with_patients(
    scans: Sequence[Path], root: Path, patient_regex: str | None, folders_are_patients: bool = True
) -> Datalist:
    names = patient_names(scans, root, patient_regex, folders_are_patients)
    return [{"image": str(scan), "patient": name} for scan, name in zip(scans, names, strict=True)]
