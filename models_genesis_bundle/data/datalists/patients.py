"""Which patient a scan belongs to, told by its path."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from models_genesis_bundle.data.scans.files import scan_stem

__all__ = ["patient_names"]

_GROUPING_FOLDER = re.compile(
    r"(images?|volumes?|scans?|data|cases?|train(ing)?|val(id(ation)?)?|test(ing)?|subset|fold|batch|part"
    r"|cts?|mris?|mrs?|nifti|nrrd|dicom)(tr|ts|val)?[ _-]?\d*",
    re.IGNORECASE,
)


def patient_names(
    scans: Sequence[Path], root: Path, patient_regex: str | None = None, folders_are_patients: bool = True
) -> list[str]:
    """Name the patient of each scan.

    Without a `patient_regex` it is the first folder below `root` that is not merely a grouping one (``imagesTr``,
    ``train``, ``subset0`` …) when the scans lie in at least two such folders, else the name of the scan without its
    suffix.

    Args:
        scans: paths of all scans; they are looked at together.
        root: folder of the dataset.
        patient_regex: regular expression that is searched in a scan's path relative to `root` (with ``/``); its group
            ``patient``, else its first group, else the whole match is the patient.
        folders_are_patients: whether a folder may name the patient.

    Raises:
        ValueError: a `patient_regex` that is none, or does not match a path.
    """
    relative = [Path(os.path.relpath(scan, root)) for scan in scans]
    if patient_regex is not None:
        return [_match_patient(patient_regex, path) for path in relative]
    folders = [
        next((part for part in path.parts[:-1] if not _GROUPING_FOLDER.fullmatch(part) and part != ".."), None)
        for path in relative
    ]
    if not folders_are_patients or len({folder for folder in folders if folder}) < 2:
        folders = [None] * len(folders)
    return [folder or scan_stem(path) for folder, path in zip(folders, relative, strict=True)]


def _match_patient(patient_regex: str, path: Path) -> str:
    try:
        match = re.search(patient_regex, path.as_posix())
    except re.error as error:
        raise ValueError(f"patient_regex {patient_regex!r} is no regular expression: {error}.") from error
    if match is None:
        raise ValueError(f"patient_regex {patient_regex!r} does not match {path.as_posix()!r}.")
    if "patient" in match.re.groupindex:
        return match["patient"]
    return match[1] if match.re.groups else match[0]
