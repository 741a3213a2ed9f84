"""Datalists in JSON, as the Medical Segmentation Decathlon and MONAI write them."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.patients import patient_names
from models_genesis_bundle.data.scans.files import (
    CHANNEL_FILES,
    case_path,
    is_scan_file,
    scan_files,
    scan_stem,
    scan_suffix,
)
from models_genesis_bundle.files import read_unicode
from models_genesis_bundle.messages import first_of

logger = logging.getLogger(__name__)

JSON_NAMES = ("datalist.json", "dataset.json")
SECTIONS = ("training", "validation", "test")

_SECTION_NAMES = {"training": r"tr|train(ing)?", "validation": r"val|valid(ation)?", "test": r"ts|test(ing)?"}
_WANTED = '{"training": [{"image": "a.nii.gz", "patient": "a"}, …], "validation": […]}'


def section_called(name: str) -> str | None:
    """The list that a key or folder is for, also with names such as ``train``, ``val`` and ``testing``; otherwise None."""
    return next((section for section, form in _SECTION_NAMES.items() if re.fullmatch(form, name, re.IGNORECASE)), None)


def find_json_datalist(root: Path) -> Path | None:
    """The datalist, which is `root` or lies in it; None if there is none.

    nnU-Net's ``dataset.json`` is not used: version 2 has no lists, and version 1 lists files without their ``_0000``.
    """
    if root.is_file():
        return None if is_scan_file(root) else root
    named = [root / name for name in JSON_NAMES if (root / name).is_file()]
    return next((file for file in named if not _is_nnunets(file)), None)


def _is_nnunets(file: Path) -> bool:
    try:
        content = _parsed(file)
    except DatalistError:
        return False
    if not isinstance(content, dict) or "numTraining" not in content:
        return False
    if not any(map(section_called, content)):
        return True
    match content.get("training"):
        case [{"image": str(image)}, *_]:
            path = file.parent / image
            return not path.exists() and path.with_name(f"{scan_stem(path)}_0000{scan_suffix(path)}").exists()
    return False


def _parsed(file: Path) -> Any:
    """The content of a JSON in any Unicode encoding; invalid bytes, as in names of files, stay."""
    try:
        return json.loads(read_unicode(file), object_pairs_hook=lambda pairs: _without_doubles(file, pairs))
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatalistError(file, f"it is not JSON ({error}).", "Correct it.") from error


def _without_doubles(file: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise DatalistError(file, f"the key {twice[0]!r} appears twice in one object.", "Keep one of them.")
    return dict(pairs)


def read_json_datalist(
    file: Path,
    base: Path,
    patient_regex: str | None = None,
    required: Sequence[str] = ("training",),
    labelled: bool = False,
    name_patients: bool = True,
) -> dict[str, list[dict[str, Any]]]:
    """Read the lists ``training``, ``validation`` and ``test`` of a JSON file; see `section_called` for other names.

    An entry is a path, or a mapping with the path ``image``, optionally ``patient``, and further entries; text, numbers, true
    and false are kept. If ``image`` is a list of paths, one for each channel, it becomes ``channel_files``, and ``image`` is the
    first path. Missing lists are empty.

    Args:
        file: the JSON.
        base: folder of relative paths; paths that do not exist there are relative to the JSON's folder.
        patient_regex: finds the patient of an entry without ``patient``, see `patient_names`.
        required: lists that must not be empty; if there are none, at least one list must not be empty.
        labelled: whether ``label`` is a path. Entries without it, such as the Decathlon's test list, are then skipped.
        name_patients: whether to add ``patient`` to entries without it.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such datalist or split file.")
    content = _parsed(file)
    if not isinstance(content, dict):
        raise DatalistError(file, f"expected {_WANTED}, found a {type(content).__name__}.", "Write it in this form.")
    lists = _lists(file, content)
    missing = [section for section in required if not lists.get(section)]
    if missing or not any(lists.values()):
        wanted, keys = ", ".join(missing or SECTIONS), ", ".join(content) or "none"
        found = f"{wanted} is missing or empty; expected {_WANTED}, found the keys {keys}."
        raise DatalistError(file, found, "Give these lists entries.")
    sections = {
        section: _entries(file, section, lists.get(section) or [], labelled, section in required)
        for section in SECTIONS
    }
    every = [entry for section in SECTIONS for entry in sections[section]]
    _resolve_paths(file, base, every, ("image", "label") if labelled else ("image",))
    if name_patients and not all("patient" in entry for entry in every):
        names = patient_names([Path(case_path(scan_files(entry))) for entry in every], base, patient_regex)
        for entry, name in zip(every, names, strict=True):
            entry.setdefault("patient", name)
    return sections


def _lists(file: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    key_of: dict[str, str] = {}
    for key in content:
        if (section := section_called(key)) and (other := key_of.setdefault(section, key)) != key:
            raise DatalistError(file, f"{other!r} and {key!r} both name the {section} list.", "Keep one of them.")
    return {section: content[key] for section, key in key_of.items()}


def _entries(file: Path, section: str, listed: Any, labelled: bool, required: bool) -> list[dict[str, Any]]:
    if not isinstance(listed, list):
        found = f"{section} must be a list, found a {type(listed).__name__}."
        raise DatalistError(file, found, "Put its entries into […].")
    every = [_entry(file, f"{section}[{number}]", entry, labelled) for number, entry in enumerate(listed)]
    entries = [entry for entry in every if entry.get("label") or not labelled]
    skipped = len(every) - len(entries)
    if skipped and required and not entries:
        raise DatalistError(file, f"none of the {skipped} entries of {section} has a label.", "Add them.")
    if skipped:
        message = "%s: %d of %d entries of %s have no label and are skipped"
        logger.warning(message, file, skipped, len(listed), section)
    return entries


def _entry(file: Path, place: str, entry: Any, labelled: bool) -> dict[str, Any]:
    """The plain values of an entry, with ``image`` and, for several files, `CHANNEL_FILES`."""
    values = entry if isinstance(entry, dict) else {"image": entry}
    paths = values.get("image")
    if not isinstance(paths, list) or values is not entry:
        paths = [paths]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise DatalistError(
            file,
            f"{place} must be a path or have one path under 'image', or a list of paths, one for each channel; "
            f"found {entry!r}.",
            "Correct this entry.",
        )
    if labelled and not isinstance(values.get("label") or "", str):
        found = f"{place} must have a path under 'label', found {values['label']!r}."
        raise DatalistError(file, found, "Correct this entry.")
    kept = {key: value for key, value in values.items() if isinstance(value, str | int | float)} | {"image": paths[0]}
    if "patient" in values:
        kept["patient"] = _patient_text(values["patient"])
        if not kept["patient"]:
            raise DatalistError(
                file,
                f"the patient of {place} must be text or a number, found {json.dumps(values['patient'])}.",
                "Name the patient, or remove the key to use the path.",
            )
    return {**kept, CHANNEL_FILES: paths} if len(paths) > 1 else kept


def _patient_text(patient: Any) -> str:
    """The name of a patient; 7, 7.0 and "7 " are the same. Empty for anything but text and finite numbers."""
    if isinstance(patient, float):
        return f"{patient:.15g}" if math.isfinite(patient) else ""
    return str(patient).strip() if isinstance(patient, str | int) and not isinstance(patient, bool) else ""


def _resolve_paths(file: Path, base: Path, entries: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    absent: list[str] = []

    def resolved(path: str) -> str:
        candidates = [
            Path(os.path.normpath(folder / name))
            for name in (path, path.replace("\\", "/"))  # as Windows writes it
            for folder in (base, file.parent)
        ]
        found = next((candidate for candidate in candidates if candidate.exists()), None)
        if found is None:
            absent.append(path)
        return str(found)

    for entry in entries:
        for key in keys:
            entry[key] = resolved(entry[key])
        if CHANNEL_FILES in entry:
            entry[CHANNEL_FILES] = [entry["image"], *map(resolved, entry[CHANNEL_FILES][1:])]
    if absent:
        raise FileNotFoundError(
            f"{file}: {len(absent)} of the listed scans do not exist: {first_of(absent)}. Paths are relative to {base}."
        )
