"""The words in the names of folders and files, and whether they identify a person."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache


class Evidence(IntEnum):
    """How well a name identifies a person."""

    NOTHING = 0
    NUMBER = 1  # the number of a scan, a date or a UID, which is used if there is no name
    NAME = 2
    PERSON = 3  # certainly the name of a person


_SEPARATOR = r"[\W_]"
_PERSON = re.compile(
    r"(?<![^\W_])(?:sub-[a-z0-9]+|\d{3}_S_\d{4,5}|OAS[12]_\d{4}|OAS3\d{4}|TCGA-\w{2}-\w{4}"  # BIDS, ADNI, OASIS, TCGA
    r"|(?:patient|subject|participant|volunteer)[ _-]*(?:\d+|[a-rt-z](?![^\W_]))"
    r"|(?:subj|pat|pt|pid|person|donor|case)[ _-]*\d+)(?![^\W_])",
    re.IGNORECASE,
)
_DATE = (
    r"(?:(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])|\d\d?[-_.]\d\d?[-_.](?:19|20)\d\d)"
    r"(?:[T_-]?\d\d[-_:.]?\d\d(?:[-_:.]?\d\d(?:\.\d+)?)?)?"
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_UID = r"\d+(?:\.\d+){3,}"
_DATE_OR_UID_FIRST = re.compile(rf"(?:{_DATE}|{_UID}|\d+\.\d{{6}})(?:$|{_SEPARATOR})")  # the last: TCIA's series
_DATE_OR_UID_AT_AN_END = re.compile(rf"^{_DATE}{_SEPARATOR}+|[\s_-]+(?:{_DATE}|{_UID})$|[ _]*\(\d+\)$")

_WORDS_OF_A_KIND = {
    "part": """train training tr val valid validation va test testing ts dev subset fold batch part chunk
        set split group cohort task site center centre hospital institution institute clinic scanner vendor
        manifest dataset database collection release version disc disk unknown misc other all public full
        labelled labeled unlabelled unlabeled anon anonymized input file archive download study studies""",
    "region": """thorax chest abdomen head skull brain neck pelvis spine knee hip shoulder cardiac heart
        liver lung kidney prostate breast pancreas spleen colon whole body kopf hals becken bauch""",
    "people": """normal abnormal benign malignant healthy control positive negative covid cap hgg lgg
        patient subject case participant person""",
    "image": """image imaging img im volume vol scan data raw rawdata source sourcedata derivative original
        orig processed preprocessed pp converted cropped crop copy kopie nifti nii nrrd mha mhd npy dicom
        dcm slice series exam view""",
    "modality": """ct cta ctpa cbct ldct hrct mr mri mra t1 t1w t1wi t1c t1ce t1gd t1n t1km t2 t2w t2wi t2f
        t2s flair dwi adc dti swi pd pdw dce pet pt suv fdg spect us xr cr dx bold asl tof mprage rage mp
        spgr anat func fmap perf hires iso contrast native plain thin thick arterial venous portal delayed
        late axial ax sagittal sag coronal cor sa la lge cine 2d 3d 4d 3t 7t left right std sharp smooth""",
    "visit": """ses session visit timepoint time tp day week month year baseline bl followup follow up fu
        pre post run acq echo frame rep repeat retest preop postop before after inspiration expiration insp exp
        inhale exhale""",
}
_KIND_OF_WORD = {word: kind for kind, words in _WORDS_OF_A_KIND.items() for word in words.split()}
_BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?:(?<=images)|(?<=labels))(?=t[rs]$)")
_VISIT_OR_SIDE = re.compile(r"[tvmdw]\d{1,2}|fu\d+d?|[lr]|\d*mm")


def words_of(name: str) -> list[str]:
    """The words of a name in lower case; ``imagesTr``, ``imagestr`` and ``images_tr`` have two words."""
    return [word.lower() for word in _BETWEEN_WORDS.split(name) if word]


def has_number(name: str) -> bool:
    """Whether a name contains a number other than a year."""
    return re.search(r"\d", re.sub(r"(?<!\d)(?:19|20)\d\d(?!\d)", "", name)) is not None


def kind_and_number(word: str) -> tuple[str | None, str]:
    """The kind of a word or None, and the number at its end; ``t1`` has no number."""
    if word in _KIND_OF_WORD:
        return _KIND_OF_WORD[word], ""
    if _VISIT_OR_SIDE.fullmatch(word):
        return "visit", ""
    bare = word.rstrip("0123456789")
    number = word[len(bare) :]
    return _KIND_OF_WORD.get(bare) or _KIND_OF_WORD.get(bare.removesuffix("s")), number


@lru_cache(maxsize=1 << 15)
def evidence_in(name: str) -> Evidence:
    """How well the name of a folder, or of a file without its suffix, identifies a person."""
    if _PERSON.search(name):
        return Evidence.PERSON
    if _DATE_OR_UID_FIRST.match(name) or _YEAR.fullmatch(name):
        return Evidence.NUMBER
    words = words_of(subject_of(name)) or [""]
    kinds, numbers = zip(*map(kind_and_number, words), strict=True)
    is_part = kinds[0] == "part"
    if is_part and numbers[0]:
        return Evidence.NOTHING  # Task03_Liver, site2
    unknown = [word for word, kind in zip(words, kinds, strict=True) if kind is None and not word.isdigit()]
    if any(len(word) > is_part for word in unknown):  # a single letter may be the number of a part, as in siteA
        return Evidence.NAME
    digits = max(map(len, numbers))
    if not digits or "part" in kinds or "visit" in kinds:
        return Evidence.NOTHING
    if not any(kinds) or (digits > 2 and ("people" in kinds or "region" in kinds)):
        return Evidence.NAME  # 7, normal001, LUNG1-001
    return Evidence.NOTHING if "people" in kinds else Evidence.NUMBER


@lru_cache(maxsize=1 << 15)
def subject_of(name: str) -> str:
    """The part of a name that may identify a person, without date, UID, modality and visit at its ends.

    ``CT_ana_visit2`` gives ``ana``, ``BraTS2021_00000_t1ce`` gives ``BraTS2021_00000``, ``volume-0`` stays.
    """
    if person := _PERSON.search(name):
        return person[0]
    core, longer = name, ""
    while core != longer:
        longer = core
        core = _without_asides(_DATE_OR_UID_AT_AN_END.sub("", core))
    return core


def _without_asides(name: str) -> str:
    """A name without words for modality, visit and image at its ends, if the rest may identify a person."""
    words = list(re.finditer(r"[^\W_]+", name))
    kinds = [kind_and_number(word[0].lower())[0] for word in words]
    may_identify = [kind is None or word[0][-1].isdigit() for kind, word in zip(kinds, words, strict=True)]
    first, last = 0, len(words)
    while last - first > 1:
        if kinds[last - 1] in ("image", "modality", "visit") and any(may_identify[first : last - 1]):
            last -= 1
        elif kinds[last - 2] == "visit" and len(words[last - 1][0]) < 5 and any(may_identify[first : last - 2]):
            last -= 2
        elif kinds[first] == "modality" and any(may_identify[first + 1 : last]):
            first += 1
        else:
            break
    return name if last - first == len(words) else name[words[first].start() : words[last - 1].end()]


_CHANNEL = re.compile(r"(.+)_(\d{4})")
_MOST_CHANNELS = 10
_MOST_CHANNELS_OF_ONE = 4  # only case_0000 … case_0003 are channels of one case; more numbers are cases
_INDEX = re.compile(r"(.*\d.*)[ _-](\d{1,3})|(.*[^\W\d_])[ _-](\d{1,2})")
_LARGEST_INDEX = 20
_MOST_SCANS_OF_ONE = 5  # average number of scans of a person


def without_channels(stems: Sequence[str], folders: Sequence[str]) -> list[str]:
    """The names of scans, without nnU-Net's channel numbers in folders where all names have them, from 0000 on."""
    stems_in: dict[str, list[str]] = defaultdict(list)
    for folder, stem in zip(folders, stems, strict=True):
        stems_in[folder].append(stem)
    numbered = {folder for folder, names in stems_in.items() if _are_channels(names)}
    return [stem[:-5] if folder in numbered else stem for folder, stem in zip(folders, stems, strict=True)]


def _are_channels(stems: Sequence[str]) -> bool:
    numbers: dict[str, set[int]] = defaultdict(set)
    for stem in stems:
        match = _CHANNEL.fullmatch(stem)
        if match is None:
            return False
        numbers[match[1]].add(int(match[2]))
    if any(0 not in of_case or max(of_case) >= _MOST_CHANNELS for of_case in numbers.values()):
        return False
    return len(numbers) > 1 or stems[0][-6].isdigit() or len(stems) <= _MOST_CHANNELS_OF_ONE


def without_index(names: Sequence[str]) -> list[str]:
    """Remove small numbers from the ends of names, if this gives several people with few scans each.

    ``LIDC-IDRI-0060_R_1`` becomes ``LIDC-IDRI-0060``, ``ana_2`` becomes ``ana``; ``liver_7`` stays if all are livers.
    """
    start_of: dict[str, str] = {}
    families: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # names by their form and start
    for name in names:
        if match := _INDEX.fullmatch(name):
            start_of[name] = match[1] or match[3]
            if int(match[2] or match[4]) <= _LARGEST_INDEX:
                form = re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", name))
                families[form][start_of[name]].add(name)
    people = {
        start
        for family in families.values()
        if len(family) > 1 and sum(map(len, family.values())) <= _MOST_SCANS_OF_ONE * len(family)
        for start in family
    }
    return [subject_of(start_of[name]) if start_of.get(name) in people else name for name in names]
