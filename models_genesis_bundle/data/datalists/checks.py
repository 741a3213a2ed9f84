"""The last steps of every datalist: its split, the checks, and a table in the log."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.layouts import Dataset, DatasetRequest, Sections
from models_genesis_bundle.data.datalists.splits import SplitRequest, split_by_file, split_sections
from models_genesis_bundle.data.scans.files import scan_files
from monai.config import PathLike

logger = logging.getLogger(__name__)

_EXAMPLES = 3


def checked_whole(request: DatasetRequest, dataset: Dataset) -> list[dict[str, Any]]:
    """All items of a dataset, sorted by the image."""
    every = sorted(dataset.items, key=lambda item: item["image"])
    return _checked(request, dataset, {"training": every})["training"]


def checked_split(
    request: DatasetRequest, dataset: Dataset, split: SplitRequest, split_file: PathLike | None = None
) -> Sections:
    """The lists of a dataset, split by a file or by the dataset itself."""
    if split_file is None:
        return _checked(request, dataset, split_sections(dataset.sections, split, request.root))
    return _checked(request, dataset, split_by_file(dataset.items, Path(split_file), request.base))


def _checked(request: DatasetRequest, dataset: Dataset, sections: Sections) -> Sections:
    """Refuse a scan that is listed twice, a label map of two patients, and a patient in two lists."""
    every = [item for items in sections.values() for item in items]
    _check_listed_once(every)
    _check_labels(every)
    check_patients_disjoint(sections)
    _log_datalist(request, dataset, sections)
    return sections


def check_patients_disjoint(datalist: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Check that no patient is in more than one list of a datalist.

    Args:
        datalist: lists of ``{"image": path, "patient": name}`` by section; other entries are ignored.

    Raises:
        DatalistError: patients are in several lists; the message has their sections and files.
    """
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for section, scans in datalist.items():
        for scan in scans:
            places[scan["patient"]][section].append(scan["image"])
    shared = {patient: found for patient, found in places.items() if len(found) > 1}
    if shared:
        lines = [
            f"  {patient}: " + "; ".join(f"{section}: {', '.join(files)}" for section, files in found.items())
            for patient, found in sorted(shared.items())
        ]
        raise DatalistError(
            "datalist",
            "Some patients are in more than one list of the split:\n" + "\n".join(lines) + "\n",
            "Put all scans of a patient into one list. If they are different patients, set patient_regex or the key 'patient' "
            "so that their names differ.",
        )


def _check_listed_once(scans: Iterable[Mapping[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for image in (file for scan in scans for file in scan_files(scan)):
        file = os.path.realpath(image)
        if file in seen:
            remedy = "Remove one of them (a link counts as the file that it points to)."
            raise DatalistError(image, f"The same scan is listed twice: {seen[file]} and {image}.", remedy)
        seen[file] = image


def _check_labels(items: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a label map of two patients; scans of one patient may share it."""
    first: dict[str, Mapping[str, Any]] = {}
    for item in items:
        if not isinstance(label := item.get("label"), str):
            continue
        other = first.setdefault(os.path.realpath(label), item)
        if other["patient"] != item["patient"]:
            scans = f"{other['image']} of patient {other['patient']} and {item['image']} of patient {item['patient']}"
            remedy = "Correct the label, or give both scans the same patient (the key 'patient', or patient_regex)."
            raise DatalistError(label, f"it is the label map of {scans}.", remedy)


def _log_datalist(
    request: DatasetRequest, dataset: Dataset, datalist: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Log the contents of a datalist and the skipped files; warn of label maps."""
    every = [item for items in datalist.values() for item in items]
    examples = every[:: max(1, -(-len(every) // _EXAMPLES))]
    above = _folder_above([item["image"] for item in examples], request)
    lists = datalist if len(datalist) > 1 else {}
    rows = [
        ("scans", f"{len({item['image'] for item in every})}"),
        ("patients", f"{_patients(every)}"),
        *(("", f"{_short(item['image'], above)} -> {item['patient']}") for item in examples),
        *((section, f"{len(items)} scans of {_patients(items)} patients") for section, items in lists.items()),
        *((reason, _some(paths, request.base)) for reason, paths in dataset.found.skipped.items()),
    ]
    width = max(len(name) for name, _ in rows)
    logger.info("%s\n%s", request.root, "\n".join(f"  {name:<{width}}  {text}" for name, text in rows))
    labels = dataset.found.labels
    if labels and dataset.layout != "pairs":  # the pairing logs label maps without an image
        logger.warning("%s: label maps, excluded from the scans: %s", request.root, _some(labels, request.base))


def _patients(items: Sequence[Mapping[str, Any]]) -> int:
    return len({item["patient"] for item in items})


def _folder_above(images: Sequence[str], request: DatasetRequest) -> Path:
    """The dataset's folder or, if an image lies elsewhere, the common folder of all images."""
    base, folders = os.path.abspath(request.base), [os.path.dirname(os.path.abspath(image)) for image in images]
    if all(Path(folder).is_relative_to(base) for folder in folders):
        return request.base
    return Path(os.path.commonpath(folders))


def _some(paths: Sequence[str | Path], base: Path) -> str:
    return f"{len(paths)}, such as {', '.join(_short(path, base) for path in paths[:_EXAMPLES])}"


def _short(path: str | Path, base: Path) -> str:
    return os.fsencode(os.path.relpath(path, base)).decode("utf-8", "backslashreplace")
