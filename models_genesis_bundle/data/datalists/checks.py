"""Checks of datalists, and the error that they end with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.scans.channels import scan_files
from monai.config import PathLike

__all__ = ["DatalistError", "check_listed_once", "check_patients_disjoint"]


class DatalistError(ValueError):
    """A folder, list or setting of which no datalist can be made.

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


def check_patients_disjoint(datalist: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a datalist with a patient in more than one of its lists.

    Args:
        datalist: lists of ``{"image": path, "patient": name}`` by section; other entries are not looked at.

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
    """Refuse a list that names a file twice, be it through a link.

    Args:
        scans: items with the path under ``image``, or with all of a scan's files under ``channel_files``.

    Raises:
        DatalistError: names both entries.
    """
    seen: dict[tuple[int, int], str] = {}
    for image in (file for scan in scans for file in scan_files(scan)):
        status = os.stat(image)
        file = (status.st_dev, status.st_ino)
        if file in seen and os.path.realpath(seen[file]) == os.path.realpath(image):
            raise DatalistError(
                image,
                f"The same scan is listed twice: {seen[file]} and {image}.",
                "Remove one of them (a link counts as the file that it points to).",
            )
        seen[file] = image
