"""The fingerprint of a set of scans: usable scans, their properties, and excluded scans."""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from models_genesis_bundle.data.datalists.layouts import Sections
from models_genesis_bundle.data.datalists.scan_lists import pretraining_datalist
from models_genesis_bundle.data.datalists.splits import SplitRequest, split_sections
from models_genesis_bundle.data.scans.files import IMAGE_SUFFIXES, files_of_scan, scan_suffix
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.quality import (
    INTENSITY_KIND_RULE,
    ScanFacts,
    intensity_kind,
    odd_intensity_kinds,
    quality_rule,
)
from models_genesis_bundle.data.scans.raw_scan import ScanError
from models_genesis_bundle.files import printable
from models_genesis_bundle.messages import first_of
from monai.config import PathLike
from monai.data import Dataset
from monai.data.utils import no_collation
from torch.utils.data import DataLoader
from tqdm import tqdm

logger = logging.getLogger(__name__)

_ALL_READ_BELOW = 2**30  # bytes, about a minute of reading

Rule = tuple[str, str]  # name and reason


@dataclass(frozen=True)
class Fingerprint:
    """The properties of a set of scans."""

    dataset_dir: str  # the folder or datalist
    spatial_dims: int  # axes of a scan, 2 or 3
    kind: str  # kind of the intensities of the kept scans, see `intensity_kind`
    datalist: Sections  # the kept scans by section: training, validation and test
    facts: Mapping[str, ScanFacts]  # properties of the kept scans that were read, by path; test scans are not read
    left_out: Sequence[dict[str, str]]  # image, patient, rule and reason of each excluded scan, sorted by path
    notes: Sequence[str]  # sentences about the whole set


def fingerprint_scans(
    dataset_dir: PathLike,
    spatial_dims: int | None = None,
    sample_size: int = 100,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    patient_regex: str | None = None,
    layout: str = "auto",
    num_workers: int = 2,
) -> Fingerprint:
    """Read the scans of a dataset, or a sample of them, and exclude those that cannot be used.

    Args:
        dataset_dir: see `pretraining_datalist`.
        spatial_dims: 3 for volumes, 2 for flat images. With None, it is 2 if there are only pictures, otherwise 3.
        sample_size: number of scans in the random sample that is read if all scans have more than 1 GiB on the disk.
        validation_fraction: see `pretraining_datalist`.
        split_seed: random seed of the split and of the sample.
        patient_regex: see `pretraining_datalist`.
        layout: see `pretraining_datalist`.
        num_workers: number of processes that read; with 0, this process reads.

    Raises:
        FileNotFoundError: the folder or file does not exist, or contains no scan.
        ValueError: there are too few patients to split, or no scan can be used.
    """
    find = partial(
        pretraining_datalist,
        dataset_dir,
        validation_fraction=validation_fraction,
        seed=split_seed,
        patient_regex=patient_regex,
        layout=layout,
    )
    if spatial_dims is None:
        spatial_dims, datalist = _find_any(find)
    else:
        datalist = find(spatial_dims=spatial_dims)
    patients = {scan["image"]: scan["patient"] for name in ("training", "validation") for scan in datalist[name]}
    images, notes = _sampled(sorted(patients), sample_size, split_seed)
    facts, rules = _read(images, spatial_dims, num_workers)
    odd, _ = odd_intensity_kinds([intensity_kind(scan) for scan in facts.values()])  # a plan is for one kind
    rules |= {image: (INTENSITY_KIND_RULE, odd[place]) for place, image in enumerate(facts) if place in odd}
    kept = {image: scan for image, scan in facts.items() if image not in rules}
    left_out = [
        {"image": image, "patient": patients[image], "rule": rules[image][0], "reason": rules[image][1]}
        for image in images
        if image in rules
    ]
    _log(notes, left_out)
    if not kept:
        raise ValueError(
            f"{dataset_dir}: none of the {len(images)} scans that were read can be used. The first is "
            f"{left_out[0]['image']}: {left_out[0]['reason']}"
        )
    kinds = Counter(map(intensity_kind, kept.values()))
    return Fingerprint(
        dataset_dir=str(dataset_dir),
        spatial_dims=spatial_dims,
        kind=max(kinds, key=lambda kind: (bool(kind), kinds[kind])),
        datalist=_without(datalist, rules, SplitRequest(validation_fraction, seed=split_seed), dataset_dir),
        facts=kept,
        left_out=left_out,
        notes=notes,
    )


def _find_any(find: Callable[..., Sections]) -> tuple[int, Sections]:
    """Volumes, or flat images if there are no volumes."""
    try:
        datalist = find(spatial_dims=3)
    except FileNotFoundError:
        return 2, find(spatial_dims=2)
    pictures = all(scan_suffix(scan["image"]) in IMAGE_SUFFIXES for scans in datalist.values() for scan in scans)
    return 2 if pictures else 3, datalist


def _sampled(images: list[str], size: int, seed: int) -> tuple[list[str], list[str]]:
    sizes = itertools.accumulate(_bytes_on_disk(image) for image in images)
    if len(images) <= size or all(total <= _ALL_READ_BELOW for total in sizes):
        return images, []
    drawn = np.random.default_rng(seed).choice(len(images), size, replace=False)
    note = (
        f"A random sample of {size} of the {len(images)} scans is read. The others are listed without being read; the "
        "training excludes scans by the same rules."
    )
    return [images[number] for number in sorted(drawn)], [note]


def _bytes_on_disk(scan: str) -> int:
    with suppress(OSError):  # reading the scan gives the reason
        return sum(map(os.path.getsize, files_of_scan(scan)))
    return 0


def _read(images: Sequence[str], spatial_dims: int, num_workers: int) -> tuple[dict[str, ScanFacts], dict[str, Rule]]:
    scans = Dataset(images, partial(_examine, LoadScand("image", spatial_dims=spatial_dims)))
    loader = DataLoader(scans, batch_size=None, num_workers=min(num_workers, len(images)), collate_fn=no_collation)
    found = dict(zip(images, tqdm(loader, desc="Reading scans", unit="scan"), strict=True))
    facts = {image: result for image, result in found.items() if isinstance(result, ScanFacts)}
    return facts, {image: result for image, result in found.items() if image not in facts}


def _examine(load: LoadScand, image: str) -> ScanFacts | Rule:
    try:
        facts = ScanFacts.of(load({"image": image})["image"])
    except ScanError as error:
        return error.rule, f"{error.found} {error.remedy}"
    return quality_rule(facts) or facts


def _log(notes: Sequence[str], left_out: Sequence[Mapping[str, str]]) -> None:
    for note in notes:
        logger.warning("%s", note)
    for rule, count in Counter(scan["rule"] for scan in left_out).most_common():
        named = [f"{scan['image']}: {scan['reason']}" for scan in left_out if scan["rule"] == rule]
        logger.warning("Excluded by the rule %s: %d scans. %s", rule, count, printable(first_of(named, 3, " ")))


def _without(datalist: Sections, dropped: Mapping[str, Rule], split: SplitRequest, dataset_dir: PathLike) -> Sections:
    kept = {name: [scan for scan in scans if scan["image"] not in dropped] for name, scans in datalist.items()}
    if empty := [name for name in ("training", "validation") if not kept[name]]:
        logger.warning("None of the scans for %s can be used; training and validation are split again.", empty[0])
        both = kept["training"] + kept["validation"]
        kept |= split_sections({"training": both, "test": kept["test"]}, split, dataset_dir)
    return kept
