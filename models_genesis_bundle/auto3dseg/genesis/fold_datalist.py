"""A fold of Auto3DSeg's datalist as the datalist of a fine-tuning run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.data import check_patients_disjoint
from models_genesis_bundle.data.datalists.patients import patient_names
from models_genesis_bundle.data.scans.files import case_path
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

__all__ = ["fold_datalist"]


def fold_datalist(source: Mapping[str, Any], fold: int) -> dict[str, list[dict[str, Any]]]:
    """Split the labelled scans: those of the fold validate, all others train.

    Args:
        source: Auto3DSeg's input: ``datalist`` (a JSON whose ``training`` has entries with ``image``, a path or a list of
            them, one for each channel, ``label`` and ``fold``), ``dataroot`` (the folder of its relative paths) and, if
            wanted, ``patient_regex``.
        fold: from 0.

    Returns:
        ``training`` and ``validation``: ``[{"image": path or list of paths, "label": path, "patient": name}, …]`` with
        absolute paths.

    Raises:
        ValueError: an entry without image or label, a fold that no entry or that all entries have, or a patient on both
            sides.
    """
    file, root = source["datalist"], Path(source["dataroot"]).absolute()
    listed = ConfigParser.load_config_file(file)["training"]
    for number, entry in enumerate(listed):
        paths = {"image": entry.get("image"), "label": [entry.get("label")]}
        absent = [
            key for key, own in paths.items() if not own or not all(isinstance(one, str) for one in ensure_tuple(own))
        ]
        if absent:
            raise ValueError(
                f"{file}: training[{number}] must have one path under {' and '.join(absent)}, or a list of them, one for "
                f"each channel, under image; found {entry}."
            )
    images = [[str(root / path) for path in ensure_tuple(entry["image"])] for entry in listed]
    names = patient_names([Path(case_path(files)) for files in images], root, source.get("patient_regex"))
    sections: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
    for entry, files, name in zip(listed, images, names, strict=True):
        image = files if len(files) > 1 else files[0]
        scan = {"image": image, "label": str(root / entry["label"]), "patient": str(entry.get("patient", name))}
        sections["validation" if entry.get("fold") == fold else "training"].append(scan)
    empty = [section for section, scans in sections.items() if not scans]
    if empty:
        folds = sorted({str(entry.get("fold")) for entry in listed})
        raise ValueError(
            f"{file}: fold {fold} leaves nothing for {empty[0]}: its entries have the folds {', '.join(folds)}."
        )
    try:
        check_patients_disjoint(
            {
                section: [{**scan, "image": ensure_tuple(scan["image"])[0]} for scan in scans]
                for section, scans in sections.items()
            }
        )
    except ValueError as error:
        raise ValueError(
            f"{file}, fold {fold}: {error} Auto3DSeg draws folds by scan where the entries have no `fold`: write one into "
            "each, the same for all scans of a patient."
        ) from None
    return sections
