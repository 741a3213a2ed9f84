"""Training cubes, extracted once and read from a memory-mapped file."""

from __future__ import annotations

import logging
import mmap
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from torch.utils.data import Dataset

from models_genesis_bundle.data.datalists.patient_hashes import patient_hashes
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scans.scan_error import ScanError
from models_genesis_bundle.data.volumes.cube_index import read_index
from models_genesis_bundle.data.volumes.cube_places import CubePlaces, CubesAroundPoints, SampledCubes
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler
from models_genesis_bundle.data.volumes.cube_store_summary import CubeStoreSummary
from models_genesis_bundle.data.volumes.fitting_store import make_if_unfit

__all__ = ["CubeStore"]

logger = logging.getLogger(__name__)


class CubeStore(Dataset):
    """Dataset of the cubes in a folder that `open_or_extract` or `open_or_cut` has filled.

    The folder holds ``index.json`` (for every cube its source and position, for every source its spacing, size and
    time of change, the settings, the scans left out) and one ``.npy`` file with all cubes, which is memory-mapped:
    reading takes constant memory, and each process opens it for itself.

    Args:
        directory: the store's folder.

    Shape:
        ``store[i]``: ``{"image": (C, X, Y, Z) float32 array of its own, "source": path, "cube": i}``. Axes along which the
        cubes are one voxel thick are dropped: slices of volumes are (C, X, Y).

    Raises:
        FileNotFoundError: no store in the folder.
        ValueError: a store that is damaged or of another version.
    """

    def __init__(self, directory: PathLike) -> None:
        self.directory = Path(directory)
        self._index = read_index(self.directory)
        cubes = self._index.pop("cubes")
        self._sources = np.array([cube["source"] for cube in cubes], dtype=np.int32)
        self._corners = np.array([cube["corner"] for cube in cubes], dtype=np.int32)
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
        if cubes_per_scan < 1:
            raise ValueError(f"CubeStore: cubes_per_scan must be 1 or more, got {cubes_per_scan}.")
        return cls._open_or_make(
            directory,
            scans,
            [SampledCubes(sampler, int(cubes_per_scan))] * len(scans),
            preprocessing,
            {"sampler": sampler.record(), "cubes_per_scan": int(cubes_per_scan), "seed": int(seed), "dtype": dtype},
            num_workers,
            on_unreadable,
        )

    @classmethod
    def open_or_cut(
        cls,
        directory: PathLike,
        scans: Sequence[Mapping[str, Any]],
        preprocessing: ScanPreprocessing,
        cube_size: Sequence[int],
        num_workers: int = 2,
        on_unreadable: str = "skip",
        dtype: str = "float16",
    ) -> CubeStore:
        """Open the store of the cubes around given points, after cutting it if it is not there or no longer fits.

        As `open_or_extract` in everything else; the cubes are in the order of the scans and of their points.

        Args:
            directory: the store's folder.
            scans: ``[{"image": path, "patient": name, "points": [(x, y, z), …]}, …]``, each scan once; the points as
                `CubesAroundPoints` takes them, None for one cube in the middle.
            preprocessing: steps from the file to the scaled scan.
            cube_size: sides of a cube in voxels, three or two entries; two take axial slices out of volumes.
            num_workers: as for `open_or_extract`.
            on_unreadable: as for `open_or_extract`.
            dtype: as for `open_or_extract`.

        Raises:
            ScanError: an unreadable scan, with ``on_unreadable="raise"``.
            ValueError: a point outside of its scan, no scan gives a cube, or an argument is out of range.
            OSError: too little space on the disk.
        """
        missing = preprocessing.spatial_dims - len(cube_size)
        size = (*(int(side) for side in cube_size), *[1] * missing)  # a slice is one voxel thick
        return cls._open_or_make(
            directory,
            scans,
            [CubesAroundPoints(size, scan["points"]) for scan in scans],
            preprocessing,
            {"cube_size": list(size), "seed": 0, "dtype": dtype},
            num_workers,
            on_unreadable,
        )

    @classmethod
    def _open_or_make(
        cls,
        directory: PathLike,
        scans: Sequence[Mapping[str, Any]],
        places: Sequence[CubePlaces],
        preprocessing: ScanPreprocessing,
        records: Mapping[str, Any],
        num_workers: int,
        on_unreadable: str,
    ) -> CubeStore:
        make_if_unfit(Path(directory), scans, places, preprocessing, records, num_workers, on_unreadable)
        store = cls(directory)
        store._report(on_unreadable)
        return store

    def _report(self, on_unreadable: str) -> None:
        for source in self._index["sources"]:
            if source.get("unreadable") and on_unreadable == "raise":
                raise ScanError(source["image"], source["reason"], "It was left out of the store.")
        level = logging.WARNING if self.summary.skipped else logging.INFO
        logger.log(level, "%s: %s", self.directory, self.summary)

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number = operator.index(index)
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"CubeStore: cube {index} of {len(self)}.")
        if self._cubes is None:
            self._cubes = self._map_cubes()
        image = np.array(self._cubes[number], dtype=np.float32)
        self._let_go(self._cubes)
        return {"image": image, "source": self.source_of(number)["image"], "cube": number}

    def _map_cubes(self) -> np.memmap:
        file = self.directory / self._index["cubes_file"]
        try:
            return np.load(file, mmap_mode="r")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{file}: the cubes are gone; another run has replaced this store by one with other settings or scans. "
                "Give runs with different settings a folder each, and start this one again."
            ) from None

    @staticmethod
    def _let_go(cubes: np.memmap) -> None:
        """Take the pages that were read, and those that the system mapped around them, out of this process's memory.

        The system's file cache keeps them.
        """
        mapping = cubes.base
        if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cubes": None}

    def source_of(self, cube: int) -> dict[str, Any]:
        """The scan that a cube is from: ``image``, ``patient``, ``spacing`` in mm, ``padded``, ``size``, ``mtime_ns``."""
        return self._index["sources"][self._sources[cube]]

    def corner_of(self, cube: int) -> tuple[int, ...]:
        """The lowest corner of a cube, in voxels of the preprocessed scan; negative where it starts in the padding."""
        return tuple(self._corners[cube].tolist())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all cubes, ``(N, C, X, Y, Z)``."""
        return tuple(self._index["shape"])

    @property
    def summary(self) -> CubeStoreSummary:
        """Counts, size and the scans left out."""
        sources = self._index["sources"]
        counts = np.bincount(self._sources, minlength=len(sources))
        wanted = self._index["settings"].get("cubes_per_scan", 0)
        return CubeStoreSummary(
            scans=int((counts > 0).sum()),
            cubes=len(self),
            bytes=self._index["cubes_bytes"],
            padded=sum(source.get("padded", False) for source in sources),
            short=int(((counts > 0) & (counts < wanted)).sum()),
            skipped={source["image"]: source["reason"] for source in sources if "reason" in source},
        )

    def record(self) -> dict[str, Any]:
        """Plain values about the data, for checkpoints: how many scans, patients and cubes, which patients, the settings.

        The patients' hashes (`patient_hashes`) let a later evaluation find out whether its test patients were trained on.
        """
        used = np.unique(self._sources).tolist()
        patients = sorted({self._index["sources"][number]["patient"] for number in used})
        return {
            "scans": len(used),
            "patients": len(patients),
            "patient_hashes": patient_hashes(patients),
            "cubes": len(self),
            "settings": self._index["settings"],
        }
