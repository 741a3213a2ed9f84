"""Lists of scans with their patients, and their split into training, validation and test."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike

from models_genesis_bundle.data.scan_files import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    SCAN_SUFFIXES,
    find_scans,
    scan_stem,
)

__all__ = ["check_patients_disjoint", "list_scans", "pretraining_datalist"]

logger = logging.getLogger(__name__)

SECTIONS = ("training", "validation", "test")
LAYOUTS = ("auto", "folder", "json", "luna16")

_JSON_NAMES = ("datalist.json", "dataset.json")
_LUNA16_SUBSETS = {"training": range(0, 5), "validation": range(5, 7), "test": range(7, 10)}
_GROUPING_FOLDER = re.compile(
    r"(images?|volumes?|scans?|data|cases?|train(ing)?|val(id(ation)?)?|test(ing)?|subset|fold|batch|part"
    r"|cts?|mris?|mrs?|nifti|nrrd|dicom)(tr|ts|val)?[ _-]?\d*",
    re.IGNORECASE,
)

Datalist = list[dict[str, str]]


def list_scans(
    dataset_dir: PathLike,
    patient_regex: str | None = None,
    layout: str = "auto",
    spatial_dims: int = 3,
) -> Datalist:
    """List all scans of a dataset with their patients.

    Args:
        dataset_dir: a folder, or the JSON datalist itself.
        patient_regex: regular expression that is searched in a scan's path relative to `dataset_dir` (with ``/``);
            its group ``patient``, else its first group, else the whole match is the patient. Without it, the patient
            is the first folder that is not merely a grouping one (``imagesTr``, ``train``, ``subset0`` …) when the
            scans lie in at least two such folders, else the name of the scan without its suffix. A ``patient`` entry
            in a JSON comes first.
        layout: as for `pretraining_datalist`.
        spatial_dims: with 2, PNG and JPEG files count, too.

    Returns:
        ``[{"image": path, "patient": name}, …]`` sorted by path, the same for every call.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        ValueError: a datalist that cannot be understood, a `patient_regex` that does not match, a file named twice.
    """
    sections = _read_sections(Path(dataset_dir), patient_regex, layout, spatial_dims)
    scans = [scan for section in SECTIONS for scan in sections.get(section, [])]
    _check_listed_once(scans)
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
        spatial_dims: with 2, PNG and JPEG files count, too.

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
        sections = _read_json(Path(split_file), base, patient_regex, required=("training", "validation"))
    else:
        sections = _read_sections(root, patient_regex, layout, spatial_dims)
    for scans in sections.values():
        scans.sort(key=lambda scan: scan["image"])
    if not sections.get("validation"):
        training, validation = _split_by_patient(sections["training"], validation_fraction, seed, root)
        sections |= {"training": training, "validation": validation}
    datalist = {section: sections.get(section, []) for section in SECTIONS}
    _check_listed_once([scan for scans in datalist.values() for scan in scans])
    check_patients_disjoint(datalist)
    for section, scans in datalist.items():
        logger.info("%s: %d scans of %d patients", section, len(scans), len({scan["patient"] for scan in scans}))
    return datalist


def check_patients_disjoint(datalist: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Refuse a datalist with a patient in more than one of its lists.

    Args:
        datalist: lists of ``{"image": path, "patient": name}`` by section.

    Raises:
        ValueError: names every such patient with the sections and files.
    """
    places: dict[str, dict[str, list[str]]] = {}
    for section, scans in datalist.items():
        for scan in scans:
            places.setdefault(scan["patient"], {}).setdefault(section, []).append(scan["image"])
    shared = {patient: found for patient, found in places.items() if len(found) > 1}
    if shared:
        lines = [
            f"  {patient}: " + "; ".join(f"{section}: {', '.join(files)}" for section, files in found.items())
            for patient, found in sorted(shared.items())
        ]
        raise ValueError(
            "Patients on both sides of the split:\n" + "\n".join(lines) + "\nPut all scans of a patient into one list; "
            "if they are different people, give patient_regex or the key 'patient' so that their names differ."
        )


def _read_sections(root: Path, patient_regex: str | None, layout: str, spatial_dims: int) -> dict[str, Datalist]:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}.")
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such folder or datalist. Check dataset_dir.")
    named = next((root / name for name in _JSON_NAMES if (root / name).is_file()), None)
    if layout == "auto":
        if root.is_file() or named:
            layout = "json"
        else:
            layout = "luna16" if (root / "subset0").is_dir() else "folder"
        logger.info("%s is read with layout=%s", root, layout)
    if layout == "json":
        file = root if root.is_file() else named
        if file is None:
            raise FileNotFoundError(f"{root}: it holds none of {', '.join(_JSON_NAMES)}. Name the JSON itself.")
        return _read_json(file, file.parent, patient_regex, required=("training",))
    if not root.is_dir():
        raise ValueError(f"{root}: layout={layout} wants a folder, this is a file.")
    if layout == "luna16":
        return _read_luna16(root, patient_regex, spatial_dims)
    scans = find_scans(root, spatial_dims)
    if not scans:
        suffixes = SCAN_SUFFIXES + (IMAGE_SUFFIXES if spatial_dims == 2 else ())
        raise FileNotFoundError(
            f"{root}: no scan below this folder. Looked for {', '.join(suffixes)} and folders of DICOM slices "
            f"({', '.join(DICOM_SUFFIXES)})."
        )
    return {"training": _with_patients(scans, root, patient_regex)}


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


def _read_json(file: Path, base: Path, patient_regex: str | None, required: Sequence[str]) -> dict[str, Datalist]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: there is no such datalist or split file.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{file}: it is not JSON ({error}).") from error
    wanted = f'{{"training": [{{"image": "a.nii.gz", "patient": "a"}}, …], "{required[-1]}": […]}}'
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected {wanted}, found a {type(content).__name__}.")
    missing = [section for section in required if not content.get(section)]
    if missing:
        raise ValueError(
            f"{file}: {', '.join(missing)} is missing or empty; expected {wanted}, found the keys "
            f"{', '.join(content) or 'none'}."
        )
    entries = {section: content.get(section) or [] for section in SECTIONS}
    paths: dict[str, list[Path]] = {}
    absent: list[str] = []
    for section, listed in entries.items():
        if not isinstance(listed, list):
            raise ValueError(f"{file}: {section} must be a list, found a {type(listed).__name__}.")
        paths[section] = []
        for number, entry in enumerate(listed):
            image = entry.get("image") if isinstance(entry, dict) else entry
            if not isinstance(image, str):
                raise ValueError(
                    f"{file}: {section}[{number}] must be a path or have one path under 'image', found {entry!r}."
                )
            candidates = [Path(os.path.normpath(folder / image)) for folder in (base, file.parent)]
            found = next((path for path in candidates if path.exists()), None)
            if found is None:
                absent.append(image)
            paths[section].append(found or candidates[0])
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise FileNotFoundError(
            f"{file}: {len(absent)} of the listed scans are not there: {', '.join(absent[:5])}{more}. Paths count from "
            f"{base}."
        )
    scans = _with_patients([path for section in SECTIONS for path in paths[section]], base, patient_regex)
    sections: dict[str, Datalist] = {}
    for section in SECTIONS:
        sections[section], scans = scans[: len(paths[section])], scans[len(paths[section]) :]
        for scan, entry in zip(sections[section], entries[section], strict=True):
            if isinstance(entry, dict) and entry.get("patient") is not None:
                scan["patient"] = str(entry["patient"])
    return sections


def _with_patients(
    scans: Sequence[Path], root: Path, patient_regex: str | None, folders_are_patients: bool = True
) -> Datalist:
    relative = [Path(os.path.relpath(scan, root)) for scan in scans]
    if patient_regex is not None:
        names = [_match_patient(patient_regex, path) for path in relative]
    else:
        folders = [
            next((part for part in path.parts[:-1] if not _GROUPING_FOLDER.fullmatch(part) and part != ".."), None)
            for path in relative
        ]
        if not folders_are_patients or len({folder for folder in folders if folder}) < 2:
            folders = [None] * len(folders)
        names = [folder or scan_stem(path) for folder, path in zip(folders, relative, strict=True)]
    return [{"image": str(scan), "patient": name} for scan, name in zip(scans, names, strict=True)]


def _match_patient(patient_regex: str, path: Path) -> str:
    match = re.search(patient_regex, path.as_posix())
    if match is None:
        raise ValueError(f"patient_regex {patient_regex!r} does not match {path.as_posix()!r}.")
    if "patient" in match.re.groupindex:
        return match["patient"]
    return match[1] if match.re.groups else match[0]


def _split_by_patient(scans: Datalist, validation_fraction: float, seed: int, root: Path) -> tuple[Datalist, Datalist]:
    patients = sorted({scan["patient"] for scan in scans})
    if len(patients) < 2:
        raise ValueError(
            f"{root}: {len(scans)} scans of one patient ({patients[0]}) cannot be split into training and validation. "
            "Add scans of another patient, or give patient_regex if these are several people."
        )
    count = min(max(1, round(validation_fraction * len(patients))), len(patients) - 1)
    chosen = {patients[i] for i in np.random.default_rng(seed).permutation(len(patients))[:count]}
    training = [scan for scan in scans if scan["patient"] not in chosen]
    validation = [scan for scan in scans if scan["patient"] in chosen]
    return training, validation


def _check_listed_once(scans: Iterable[Mapping[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for scan in scans:
        real = os.path.realpath(scan["image"])
        if real in seen:
            raise ValueError(
                f"The same scan is listed twice: {seen[real]} and {scan['image']}. Remove one of them (a link counts "
                "as the file that it points to)."
            )
        seen[real] = scan["image"]
