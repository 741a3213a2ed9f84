"""The patient of each scan, from the paths of all scans."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.datalists.path_words import (
    Evidence,
    evidence_in,
    has_number,
    kind_and_number,
    subject_of,
    without_channels,
    without_index,
    words_of,
)
from models_genesis_bundle.data.scans.files import scan_stem
from monai.config import PathLike

logger = logging.getLogger(__name__)

_LEAST_PEOPLE_OF_A_GROUP = 20  # in a folder of files or with a number; fewer files are scans of one person
_MOST_FILES_OF_ONE = 5  # average number of files in folders such as train_01
_MOST_SCANS_OF_ONE = 30


class _Name(NamedTuple):
    """A name on a scan's path."""

    whole: str
    core: str  # the part that identifies the person
    level: int  # depth of the folder in the root, from 1; 0 for a file


def patient_names(scans: Sequence[Path], root: Path, patient_regex: str | None = None) -> list[str]:
    """Find the patient of each scan by a `patient_regex` (see `list_scans`), or by the names of folders and files.

    Names such as ``imagesTr``, ``CT``, ``ses-1``, dates and UIDs are ignored. A name that is certainly a person's (``sub-01``,
    ``patient7``, ``002_S_0295``) is the patient. Otherwise, the patient is the outermost folder whose names differ, unless the
    names in it have the longer numbers of people, as in ``LIDC-IDRI``. If no folder identifies the person, the patient is the
    name of the file, without modality, visit, date and channel if several scans have the same remaining name.
    """
    paths = _parts_below([os.fspath(scan) for scan in scans], os.fspath(root))
    if patient_regex is not None:
        compiled = compiled_pattern("patient_regex", patient_regex)
        return [_match_patient(compiled, "/".join(path), root) for path in paths]
    names = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in _shortest_that_merge(_by_tree(paths))]
    for name, count in Counter(names).most_common(1):
        if count > _MOST_SCANS_OF_ONE:
            message = "%s: %d scans are assigned to one patient, %s. If they are of several patients, set patient_regex"
            logger.warning(message, root, count, name)
    return names


def compiled_pattern(setting: str, pattern: str) -> re.Pattern[str]:
    """The regular expression of a setting; a `DatalistError` if it is invalid."""
    try:
        return re.compile(pattern)
    except re.error as error:
        found = f"it is not a regular expression: {error}."
        raise DatalistError(f"{setting} {pattern!r}", found, "Correct it.") from error


def _match_patient(patient_regex: re.Pattern[str], path: str, root: PathLike) -> str:
    match = patient_regex.search(path)
    if match is None:
        remedy = "Change it so that it matches the path of every scan."
        raise DatalistError(root, f"patient_regex {patient_regex.pattern!r} does not match {path!r}.", remedy)
    return group_called(match, "patient")


def group_called(match: re.Match[str], name: str) -> str:
    """The group `name` of a match, otherwise its first group, otherwise the whole match."""
    return match[name if name in match.re.groupindex else min(1, match.re.groups)]


def _parts_below(paths: Sequence[str], root: str) -> list[list[str]]:
    """The folders and the file of each path, relative to the root, or to the common folder of the paths outside of it."""
    below = [path[len(root) + 1 :] if path.startswith(root + os.sep) else os.path.relpath(path, root) for path in paths]
    outside = [os.path.dirname(path) for path, rest in zip(paths, below, strict=True) if rest.startswith("..")]
    other = os.path.commonpath(map(os.path.abspath, outside)) if outside else root
    below = [
        os.path.relpath(path, other) if rest.startswith("..") else rest for path, rest in zip(paths, below, strict=True)
    ]
    return [(os.path.basename(root) if rest == "." else rest).split(os.sep) for rest in below]


def _by_tree(paths: Sequence[list[str]]) -> list[_Name]:
    stems = [scan_stem(path[-1]) for path in paths]
    cases = without_channels(stems, ["/".join(path[:-1]) for path in paths])
    names_of = [
        _names_on([*path[:-1], stem], case, is_file=len(stem) < len(path[-1]))
        for path, stem, case in zip(paths, stems, cases, strict=True)
    ]
    people = _people_on([[name for name, evidence in names if evidence >= Evidence.NAME] for names in names_of])
    chosen = [person or _otherwise(names) for person, names in zip(people, names_of, strict=True)]
    return chosen if any(people) else _numbered_folders(paths, chosen) or chosen


def _numbered_folders(paths: Sequence[list[str]], files: Sequence[_Name]) -> list[_Name]:
    """The outermost folders with a number, as ``train_01``, if each has few files with its name or all the same names."""
    folders = []
    different = len({file.core for file in files})
    for path in paths:
        numbered = (_Name(part, part, level) for level, part in enumerate(path[:-1], 1) if has_number(part))
        folder = next((name for name in numbered if kind_and_number(words_of(name.core)[0])[0] != "visit"), None)
        if folder is None or not (different == 1 or path[-1].startswith(folder.core)):
            return []
        folders.append(folder)
    count = len({folder.core for folder in folders})
    return folders if count > 1 and different <= _MOST_FILES_OF_ONE * count else []


def _names_on(parts: Sequence[str], case: str, is_file: bool) -> list[tuple[_Name, Evidence]]:
    """The name on a path that is certainly a person's, otherwise all names that may identify one; at least one name."""
    names: list[tuple[_Name, Evidence]] = []
    for level, part in enumerate(parts, 1):
        level = 0 if is_file and level == len(parts) else level
        core = subject_of(part if level else case)
        evidence = evidence_in(part if level else core)
        if evidence == Evidence.PERSON:
            return [(_Name(core, core, level), evidence)]
        if not (evidence or level or names) and any(letter.isdigit() for letter in core):
            evidence = Evidence.NUMBER
        if evidence and not (names and names[-1][0].core == core):
            names.append((_Name(part, core, level), evidence))
    return names or [(_Name(parts[-1], subject_of(case), 0), Evidence.NOTHING)]


def _otherwise(names: Sequence[tuple[_Name, Evidence]]) -> _Name:
    """The outermost name that is a number, otherwise the innermost name."""
    return next((name for name, evidence in names if evidence == Evidence.NUMBER), names[-1][0])


def _people_on(paths: Sequence[Sequence[_Name]]) -> list[_Name | None]:
    """The first name on each path that is not the name of a group, such as a dataset or a site, or None."""
    people: list[_Name | None] = [None] * len(paths)
    remaining = {number: names for number, names in enumerate(paths) if names}
    while remaining:
        below: dict[str, dict[str, _Name]] = defaultdict(dict)
        for name, *kids in remaining.values():
            below[name.core] |= {kid.core: kid for kid in kids[:1]}
        folders = {names[0].core for names in remaining.values() if names[0].level}
        groups = _groups_of_people(below, folders)
        for number, (name, *_) in remaining.items():
            people[number] = None if name.core in groups else name
        remaining = {n: names[1:] for n, names in remaining.items() if names[0].core in groups and names[1:]}
    return people


def _groups_of_people(below: dict[str, dict[str, _Name]], folders: set[str]) -> set[str]:
    """The names at one level with names of several people `below` them."""
    pairs = [(parent, kid) for parent, kids in below.items() for kid in kids.values()]
    groups = {parent for parent, _ in pairs}
    if len(folders) == 1 and 1 in (len(groups), len(below)):
        return folders  # one folder around everything, or next to single files
    if len(pairs) == len(groups):
        return set()
    rests = [_rest(kid.core, parent) for parent, kid in pairs]
    if not _most(re.search(r"\d{3}", rest) for rest in rests):
        return set()
    counts = Counter(rests)
    if _most(counts[rest] > 1 for rest in rests):  # people in folders of visits, or series with the same names
        people = _most(re.fullmatch(r"\d{5,}", rest) for rest in rests)
    else:
        unclear = _most(has_number(parent) or not kid.level for parent, kid in pairs)
        people = not unclear or len(pairs) >= _LEAST_PEOPLE_OF_A_GROUP * len(groups)
    return groups if people else set()


def _most(truths: Iterable[object]) -> bool:
    listed = [bool(truth) for truth in truths]
    return 2 * sum(listed) >= len(listed)


def _rest(name: str, parent: str) -> str:
    """A name without its prefix, if that is the name of the folder."""
    more = name.removeprefix(parent)
    return re.sub(r"^[\W_]+", "", more) if re.match(r"[\W_]", more) else name


def _shortest_that_merge(chosen: Sequence[_Name]) -> list[str]:
    """The shortest names that give fewer but several people: without index, otherwise cores, otherwise whole names."""
    whole, cores = [name.whole for name in chosen], [name.core for name in chosen]
    merged = without_index(without_index(cores))  # without the number of the scan and that of the visit
    people = [len(set(names)) for names in (merged, cores, whole)]
    if 1 < people[0] < people[2]:
        return merged
    return cores if 1 < people[1] < people[2] else whole


def patient_hashes(names: Iterable[str]) -> list[str]:
    """The first 16 hexadecimal digits of the SHA-256 of each patient's name (UTF-8), sorted and without duplicates.

    You can check whether names have a hash here, for example whether patients of a test set were in the pretraining. The hashes
    hide the names but do not protect them: someone can try all numbers that may be names.

    Examples:
        >>> from models_genesis_bundle.data import patient_hashes
        >>> patient_hashes(["ana"])
        ['24d4b96f58da6d4a']
    """
    return sorted({hashlib.sha256(os.fsencode(str(name))).hexdigest()[:16] for name in names})


def known_patients(patients: Iterable[str], hashes: Collection[str]) -> list[str]:
    """The patients whose names have hashes in the record of a weight file, sorted; see `patient_hashes`."""
    known = set(hashes)
    return sorted(patient for patient in patients if not known.isdisjoint(patient_hashes([patient])))


def labelled_record(scans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The record of the training scans in a weight file: the numbers of scans and patients, and the patients' hashes.

    Args:
        scans: a list of a datalist. For an entry without ``patient``, as from MONAI Label, the name of the image is used.
    """
    hashes = patient_hashes(scan.get("patient") or scan_stem(Path(scan["image"])) for scan in scans)
    return {"scans": len(scans), "patients": len(hashes), "patient_hashes": hashes}
