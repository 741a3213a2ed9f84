"""The error of datalists, and the checks that all of them share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.scans.files import scan_files
from monai.config import PathLike

__all__ = ["DatalistError", "check_listed_once", "check_patients_disjoint", "compiled_pattern"]


class DatalistError(ValueError):
    """A folder, list or setting that gives no datalist.

    Args:
        source: the file, folder or setting.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, source: PathLike, found: str, remedy: str) -> None:
        super().__init__(str(source), found, remedy)
        self.source, self.found, self.remedy = str(source), found, remedy

    def __str__(self) -> str:
        return f"{self.source}: {self.found} {self.remedy}"


def compiled_pattern(setting: str, pattern: str) -> re.Pattern[str]:
    """The regular expression that a setting holds; a `DatalistError` if it is invalid."""
    try:
        return re.compile(pattern)
    except re.error as error:
        found = f"it is not a regular expression: {error}."
        raise DatalistError(f"{setting} {pattern!r}", found, "Correct it.") from error


def check_patients_disjoint(datalist: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a datalist with a patient in more than one of its lists.

    Args:
        datalist: lists of ``{"image": path, "patient": name}`` by section; other entries are ignored.

    Raises:
        DatalistError: names every such patient with the sections and files.
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
        raise DatalistError(
            "datalist",
            "Patients on both sides of the split:\n" + "\n".join(lines) + "\n",
            "Put all scans of a patient into one list; if they are different people, give patient_regex or the key 'patient' "
            "so that their names differ.",
        )


def check_listed_once(scans: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a list with the same file twice, also under the name of a link; the `DatalistError` names both entries."""
    seen: dict[tuple[int, int], str] = {}
    for image in (file for scan in scans for file in scan_files(scan)):
        status = os.stat(image)
        file = (status.st_dev, status.st_ino)
        if file in seen and os.path.realpath(seen[file]) == os.path.realpath(image):
            remedy = "Remove one of them (a link counts as the file that it points to)."
            raise DatalistError(image, f"The same scan is listed twice: {seen[file]} and {image}.", remedy)
        seen[file] = image
