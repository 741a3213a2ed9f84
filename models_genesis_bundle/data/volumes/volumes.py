"""Prepared volumes: each scan is preprocessed once, then read at random places."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.sampling.readable_scans import SkippedScansError, require_on_unreadable, skipped_text
from models_genesis_bundle.data.scans.files import scan_files, scan_fingerprint
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scans.quality import (
    CT_IN_HU,
    INTENSITY_KIND_RULE,
    ScanFacts,
    intensity_kind,
    odd_intensity_kinds,
    quality_rule,
    scaled_as_ct,
)
from models_genesis_bundle.data.scans.raw_scan import ScanError
from models_genesis_bundle.data.volumes.item_folder import ItemFolder, Job, Record
from models_genesis_bundle.data.volumes.volume_file import DamagedVolumeError, VolumeFile, write_volume
from monai.config import PathLike
from monai.data.utils import affine_to_spacing

logger = logging.getLogger(__name__)

_FORMAT = 5
_KNOWN_FILES = 1024
_MOST_MAPPED_BYTES = 512 * 2**20
_MAPPED_BY_OPENING = 4 * 2**20  # approximate, because the system also maps neighbouring bytes


class Volumes:
    """The prepared volumes of a list of scans.

    Each scan is preprocessed and written as a compressed array of float16 (steps of at most 0.0005 in [0, 1]). A scan is
    prepared again if its file has changed, or if its volume is incomplete or damaged. Each preprocessing has a separate folder.
    An interrupted preparation can continue, and the result does not depend on the number of processes.

    Args:
        directory: folder of all volumes, which is created if missing. Runs may share it.
        scans: ``[{"image": path, …}, …]``, see `pretraining_datalist`; with ``channel_files`` if a scan has a file for each
            channel.
        preprocessing: steps from the file to the scaled scan.
        num_workers: number of processes; with 0 or 1, this process does the work.
        scheduler: address of a Dask scheduler, to use its workers instead. They need the same paths of `scans` and `directory`.
        on_unreadable: ``"skip"`` logs and skips scans that cannot be read, ``"raise"`` stops at the first.
        apply_rules: exclude scans that are not suitable for pretraining, see `quality_rule`, and scans with another kind of
            intensities than most scans.

    Attributes:
        left_out: the reasons to exclude scans, with the name of the rule, by path.

    Raises:
        ScanError: a scan cannot be read, with ``on_unreadable="raise"``.
        SkippedScansError: no scan can be used.
        ValueError: an argument is out of range.
        OSError: the disk has too little space; finished volumes are kept.

    Examples:
        >>> from models_genesis_bundle.data import ScanPreprocessing, Volumes, list_scans
        >>> volumes = Volumes("cache", list_scans("phantoms/images"), ScanPreprocessing(), num_workers=0)
    """

    def __init__(
        self,
        directory: PathLike,
        scans: Sequence[Mapping[str, Any]],
        preprocessing: ScanPreprocessing,
        num_workers: int = 2,
        scheduler: str | None = None,
        on_unreadable: str = "skip",
        apply_rules: bool = True,
    ) -> None:
        if not scans:
            raise ValueError("Volumes: the list of scans is empty.")
        require_on_unreadable(on_unreadable)
        if num_workers < 0:
            raise ValueError(f"Volumes: num_workers must be 0 or more, got {num_workers}.")
        self.preprocessing = preprocessing
        self.num_workers, self.scheduler, self.on_unreadable = num_workers, scheduler, on_unreadable
        settings = {"format": _FORMAT, **preprocessing.record()}
        self.items = ItemFolder(Path(os.path.abspath(directory)), "volumes", settings, ".b2nd")
        self._files: OrderedDict[str, VolumeFile] = OrderedDict()
        self._mapped_bytes = 0
        self._scan_files = {
            os.path.abspath(scan["image"]): [os.path.abspath(file) for file in scan_files(scan)] for scan in scans
        }
        wanted = {image: scan_fingerprint(*files) for image, files in self._scan_files.items()}
        records = self.items.open_or_make(wanted, self._job, num_workers, scheduler)
        if on_unreadable == "raise" and (unreadable := [r for r in records.values() if "unreadable" in r]):
            raise ScanError(*unreadable[0]["unreadable"])
        self.left_out = {
            image: f"{record['reason']} [{record['rule']}]"
            for image, record in records.items()
            if "rule" in record and (apply_rules or "unreadable" in record)
        }
        self._records = {image: record for image, record in records.items() if image not in self.left_out}
        if apply_rules:
            self._leave_out_odd_kinds()
        self._report()
        self._warn_of_other_units()

    def _job(self, key: str) -> Job:
        files, path = self._scan_files[key], self.items.path(key)
        return partial(_prepare, key, files, path, self.preprocessing, self.on_unreadable)

    def _leave_out_odd_kinds(self) -> None:
        """Exclude scans with another kind of intensities, if the others are a clear majority."""
        images = list(self._records)
        odd, clear = odd_intensity_kinds([record["kind"] for record in self._records.values()])
        if clear:
            for number, reason in odd.items():
                self.left_out[images[number]] = f"{reason} [{INTENSITY_KIND_RULE}]"
                del self._records[images[number]]
            return
        first, reason = next(iter(odd.items()))
        logger.warning(
            "The scans have different kinds of intensities, and all of them are used: %d of %d differ from the rest. The first "
            "is %s: %s Put each kind into a separate folder, or use planning, which keeps the largest group.",
            len(odd),
            len(images),
            images[first],
            reason,
        )

    def _report(self) -> None:
        total = sum(record["bytes"] for record in self._records.values())
        logger.info("%s: %d volumes, %.1f MiB", self.items.folder, len(self), total / 2**20)
        text = skipped_text(self.left_out, len(self) + len(self.left_out))
        if not self._records:
            raise SkippedScansError(text)
        if self.left_out:
            logger.warning("%s", text)

    def _warn_of_other_units(self) -> None:
        kinds = [kind for record in self._records.values() if (kind := record["kind"]) not in ("", CT_IN_HU)]
        if kinds and self.preprocessing.intensity.is_for_hu:
            logger.warning(
                "%s Use the percentiles of each scan, `--scan_preprocessing::intensity percentile`, or a window of their unit.",
                scaled_as_ct(kinds, len(self)),
            )

    def alone(self, image: PathLike) -> Volumes:
        """A copy with the record of only one volume, for a job in another process."""
        key, alone = os.path.abspath(image), copy(self)
        alone._records, alone._scan_files, alone.left_out = {key: self._records[key]}, {key: self._scan_files[key]}, {}
        return alone

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, image: PathLike) -> bool:
        return os.path.abspath(image) in self._records

    def shape(self, image: PathLike) -> tuple[int, ...]:
        """The sides of a volume in voxels, ``(X, Y, Z)`` or ``(X, Y)``."""
        return tuple(self._records[os.path.abspath(image)]["shape"][1:])

    def affine(self, image: PathLike) -> np.ndarray:
        """The affine from voxels to RAS millimetres, 4 × 4 (3 × 3 in 2D)."""
        return np.array(self._records[os.path.abspath(image)]["affine"])

    def spacing(self, image: PathLike) -> tuple[float, ...]:
        """The sides of a voxel in millimetres."""
        affine = self.affine(image)
        return tuple(float(side) for side in affine_to_spacing(affine, r=len(affine) - 1))

    def fingerprint(self, image: PathLike) -> str:
        """The `scan_fingerprint` of the scan's files when the volume was prepared."""
        return self._records[os.path.abspath(image)]["fingerprint"]

    def read(self, image: PathLike, corner: Sequence[int], size: Sequence[int]) -> np.ndarray:
        """Read a box of voxels, float32 (C, *size), within the scaling's ``value_range``.

        Args:
            image: the scan of the volume.
            corner: lowest voxel of the box; voxels outside of the volume get the darkest value.
            size: sides of the box in voxels.
        """
        key = os.path.abspath(image)
        with suppress(DamagedVolumeError):
            return self._read(key, corner, size)
        try:  # another process may have made the file again
            return self._read(key, corner, size)
        except DamagedVolumeError as error:
            logger.warning("%s It is made again.", error)
            fingerprint = self.fingerprint(key)
            if scan_fingerprint(*self._scan_files[key]) != fingerprint:
                found = "its prepared volume is damaged, and the scan has changed since it was made."
                raise ScanError(key, found, "Start again.", "changed") from error
            record = self.items.make_again(key, fingerprint, self._job(key))
            if "unreadable" in record:
                raise ScanError(*record["unreadable"]) from error
            self._records[key] = record
            return self._read(key, corner, size)

    def _read(self, key: str, corner: Sequence[int], size: Sequence[int]) -> np.ndarray:
        file = self._files.pop(key, None) or VolumeFile(self.items.path(key), self._records[key]["ends"])
        opened = file.array is None
        box = file.read(corner, size, self.preprocessing.intensity.value_range[0])
        self._files[key] = file  # the most recently used file is the last; a damaged file is not kept
        if len(self._files) > _KNOWN_FILES:
            self._files.popitem(last=False)
        self._mapped_bytes += 2 * box.nbytes + opened * _MAPPED_BY_OPENING
        if self._mapped_bytes > _MOST_MAPPED_BYTES:
            self._mapped_bytes = 0
            for known in self._files.values():
                known.release()
        return box


def _prepare(
    image: str, files: Sequence[str], path: str, preprocessing: ScanPreprocessing, on_unreadable: str
) -> Record:
    """Make the volume of a scan, in any process."""
    key = preprocessing.keys[0]
    load, *further_steps = preprocessing.transforms
    try:
        loaded = load({key: files})
        facts = ScanFacts.of(loaded[key])
        for step in further_steps:
            loaded = step(loaded)
    except ScanError as error:
        if on_unreadable == "raise":
            raise
        parts = [error.file, error.found, error.remedy, error.rule]
        return {"bytes": 0, "rule": error.rule, "reason": f"{error.found} {error.remedy}", "unreadable": parts}
    except Exception as error:
        error.add_note(f"The scan was {image}.")
        raise
    scan = loaded[key]
    size, ends = write_volume(path, scan.numpy())
    record: Record = {
        "bytes": size,
        "ends": ends,
        "shape": list(scan.shape),
        "affine": np.asarray(scan.affine).tolist(),
        "kind": intensity_kind(facts),
    }
    rule = quality_rule(facts)
    return record if rule is None else record | {"rule": rule[0], "reason": rule[1]}
