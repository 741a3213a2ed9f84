"""Training cubes, extracted once and read from a memory-mapped file."""

from __future__ import annotations

import json
import logging
import mmap
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from monai.config import PathLike
from torch.utils.data import Dataset

from models_genesis_bundle.data.cube_extraction import INDEX_NAME, extract_cubes
from models_genesis_bundle.data.cube_sampler import CubeSampler
from models_genesis_bundle.data.load_scan import ScanError
from models_genesis_bundle.data.scan_files import scan_state
from models_genesis_bundle.data.scan_preprocessing import ScanPreprocessing

__all__ = ["CubeStore", "CubeStoreSummary"]

logger = logging.getLogger(__name__)

_FORMAT_VERSION = 1
_LOCK_NAME = ".lock"
_DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class CubeStoreSummary:
    """What a cube store holds.

    Args:
        scans: scans that gave cubes.
        cubes: cubes in the store.
        bytes: size of the cubes' file.
        padded: scans that were smaller than a cube and got padding.
        short: scans that gave fewer cubes than were wanted.
        skipped: why each scan that gave no cube was left out, by file.
    """

    scans: int
    cubes: int
    bytes: int
    padded: int
    short: int
    skipped: Mapping[str, str]

    def __str__(self) -> str:
        text = f"{self.cubes} cubes of {self.scans} scans, {self.bytes / 2**20:.1f} MiB"
        if self.padded:
            text += f"; {self.padded} scans smaller than a cube were padded"
        if self.short:
            text += f"; {self.short} scans gave fewer cubes than wanted"
        if self.skipped:
            text += f"; {len(self.skipped)} scans were skipped:"
            text += "".join(f"\n  {image}: {reason}" for image, reason in self.skipped.items())
        return text


class CubeStore(Dataset):
    """Dataset of the cubes in a folder that `open_or_extract` has filled.

    The folder holds ``index.json`` (for every cube its source and position, for every source its spacing, size and
    time of change, the settings, the scans left out) and one ``.npy`` file with all cubes, which is memory-mapped:
    reading takes constant memory, and each process opens it for itself.

    Args:
        directory: the store's folder.

    Shape:
        ``store[i]``: ``{"image": (C, X, Y, Z) float32 array of its own, "source": path, "cube": i}``.

    Raises:
        FileNotFoundError: no store in the folder.
        ValueError: a store that is damaged or of another version.
    """

    def __init__(self, directory: PathLike) -> None:
        self.directory = Path(directory)
        self._index = _read_index(self.directory)
        self._cubes: np.memmap | None = None

    @classmethod
    def open_or_extract(
        cls,
        directory: PathLike,
        scans: Sequence[Mapping[str, str]],
        preprocessing: ScanPreprocessing,
        sampler: CubeSampler,
        cubes_per_scan: int = 32,
        seed: int = 0,
        num_workers: int = 2,
        on_unreadable: str = "skip",
        dtype: str = "float16",
    ) -> CubeStore:
        """Open the store in a folder, after extracting it if it is not there or no longer fits.

        A store fits when it was made with the same settings from the same files, each of the same size and time of
        change. An interrupted extraction goes on with the scans that are missing. A second process that wants the
        same folder waits for the first, then opens what that one made. The result does not depend on `num_workers`.

        Args:
            directory: the store's folder; created where missing. Give training and validation one each: other
                settings replace the store.
            scans: ``[{"image": path, "patient": name}, …]``, see `pretraining_datalist`.
            preprocessing: steps from the file to the scaled scan.
            sampler: draws the places of the cubes.
            cubes_per_scan: cubes wanted from each scan.
            seed: seed of the draws.
            num_workers: processes that extract; 0 works in this one. They are spawned: a script that calls this needs
                an ``if __name__ == "__main__":`` guard.
            on_unreadable: ``"skip"`` names and counts scans that cannot be read, ``"raise"`` stops at the first.
            dtype: ``"float16"`` (steps of at most 0.0005 in [0, 1]) or ``"float32"``.

        Raises:
            ScanError: an unreadable scan, with ``on_unreadable="raise"``.
            ValueError: no scan gives a cube, or an argument is out of range.
            OSError: too little space on the disk.
        """
        if not scans:
            raise ValueError("CubeStore: the list of scans is empty.")
        if on_unreadable not in ("skip", "raise"):
            raise ValueError(f"CubeStore: on_unreadable must be 'skip' or 'raise', got {on_unreadable!r}.")
        if dtype not in _DTYPES:
            raise ValueError(f"CubeStore: dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}.")
        if cubes_per_scan < 1 or num_workers < 0:
            raise ValueError(
                "CubeStore: cubes_per_scan must be 1 or more and num_workers 0 or more, got "
                f"{cubes_per_scan} and {num_workers}."
            )
        if len(sampler.cube_size) != preprocessing.spatial_dims:
            raise ValueError(
                f"CubeStore: cube_size {sampler.cube_size} does not fit spatial_dims={preprocessing.spatial_dims}."
            )
        settings = {
            "format_version": _FORMAT_VERSION,
            "preprocessing": preprocessing.record(),
            "sampler": sampler.record(),
            "cubes_per_scan": int(cubes_per_scan),
            "seed": int(seed),
            "dtype": dtype,
        }
        sources = [{"image": os.path.abspath(scan["image"]), "patient": str(scan["patient"])} for scan in scans]
        states = [dict(zip(("size", "mtime_ns"), scan_state(source["image"]), strict=True)) for source in sources]
        wanted = [{**source, **state} for source, state in zip(sources, states, strict=True)]
        directory = Path(directory)
        if not cls._fits(directory, settings, wanted):
            directory.mkdir(parents=True, exist_ok=True)
            with _locked(directory):
                if not cls._fits(directory, settings, wanted):
                    extract_cubes(
                        directory, sources, preprocessing, sampler, settings, wanted, num_workers, on_unreadable
                    )
        store = cls(directory)
        store._report(on_unreadable)
        return store

    @staticmethod
    def _fits(directory: Path, settings: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> bool:
        try:
            index = _read_index(directory)
        except FileNotFoundError:
            return False
        except ValueError as error:
            logger.warning("%s It is made anew.", error)
            return False
        if index["settings"] != settings:
            logger.info("%s: the settings have changed, the cubes are extracted anew.", directory)
            return False
        found = [{name: source[name] for name in wanted[0]} for source in index["sources"]]
        if found != list(wanted):
            logger.info("%s: the scans have changed, the cubes are extracted anew.", directory)
            return False
        return True

    def _report(self, on_unreadable: str) -> None:
        for source in self._index["sources"]:
            if source.get("unreadable") and on_unreadable == "raise":
                raise ScanError(source["image"], source["reason"], "It was left out of the store.")
        level = logging.WARNING if self.summary.skipped else logging.INFO
        logger.log(level, "%s: %s", self.directory, self.summary)

    def __len__(self) -> int:
        return len(self._index["cubes"])

    def __getitem__(self, index: int) -> dict[str, Any]:
        number = operator.index(index)
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"CubeStore: cube {index} of {len(self)}.")
        if self._cubes is None:
            self._cubes = np.load(self.directory / self._index["cubes_file"], mmap_mode="r")
        image = np.array(self._cubes[number], dtype=np.float32)
        self._let_go(self._cubes, number)
        return {"image": image, "source": self.source_of(number)["image"], "cube": number}

    @staticmethod
    def _let_go(cubes: np.memmap, number: int) -> None:
        """Take the pages that were read out of this process's memory; the system's file cache keeps them."""
        mapping = cubes.base
        if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            offset = cubes.offset % mmap.ALLOCATIONGRANULARITY
            begin, end = (offset + cubes[0].nbytes * edge for edge in (number, number + 1))
            begin -= begin % mmap.PAGESIZE
            mapping.madvise(mmap.MADV_DONTNEED, begin, end - begin)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cubes": None}

    def source_of(self, cube: int) -> dict[str, Any]:
        """The scan that a cube is from: ``image``, ``patient``, ``spacing`` in mm, ``padded``, ``size``, ``mtime_ns``."""
        return self._index["sources"][self._index["cubes"][cube]["source"]]

    def corner_of(self, cube: int) -> tuple[int, ...]:
        """The lowest corner of a cube, in voxels of the preprocessed scan; negative where it starts in the padding."""
        return tuple(self._index["cubes"][cube]["corner"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all cubes, ``(N, C, X, Y, Z)``."""
        return tuple(self._index["shape"])

    @property
    def summary(self) -> CubeStoreSummary:
        """Counts, size and the scans left out."""
        sources = self._index["sources"]
        counts = np.bincount([cube["source"] for cube in self._index["cubes"]], minlength=len(sources))
        return CubeStoreSummary(
            scans=int((counts > 0).sum()),
            cubes=len(self),
            bytes=self._index["cubes_bytes"],
            padded=sum(source.get("padded", False) for source in sources),
            short=int(((counts > 0) & (counts < self._index["settings"]["cubes_per_scan"])).sum()),
            skipped={source["image"]: source["reason"] for source in sources if "reason" in source},
        )

    def record(self) -> dict[str, Any]:
        """Plain values about the data, for checkpoints: numbers of scans, patients and cubes, and the settings."""
        used = {cube["source"] for cube in self._index["cubes"]}
        return {
            "scans": len(used),
            "patients": len({self._index["sources"][number]["patient"] for number in used}),
            "cubes": len(self),
            "settings": self._index["settings"],
        }


def _read_index(directory: Path) -> dict[str, Any]:
    file = directory / INDEX_NAME
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        version = index["settings"]["format_version"]
        cubes_file = directory / index["cubes_file"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{directory}: there is no cube store in this folder.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: the index of this cube store is damaged ({error}).") from error
    if version != _FORMAT_VERSION:
        raise ValueError(f"{directory}: a cube store of version {version}, this is for {_FORMAT_VERSION}.")
    size = cubes_file.stat().st_size if cubes_file.exists() else 0
    if size != index["cubes_bytes"]:
        raise ValueError(f"{cubes_file}: damaged, {size} bytes where the index says {index['cubes_bytes']}.")
    return index


def _locked(directory: Path) -> FileLock:
    lock = FileLock(directory / _LOCK_NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info("%s: another process extracts these cubes; waiting for it.", directory)
        lock.acquire()
    return lock
