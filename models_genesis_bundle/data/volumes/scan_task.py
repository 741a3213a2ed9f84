"""The cubes of one scan: where they lie is drawn, then they are cut and kept in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing

from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scans.scan_error import ScanError
from models_genesis_bundle.data.volumes.cube_array import write_array
from models_genesis_bundle.data.volumes.cube_places import CubePlaces, NoCubesError, PlacedCubes
from models_genesis_bundle.files import write_json

__all__ = ["ScanTask"]


@dataclass(frozen=True)
class ScanTask:
    """The cubes wanted from one scan.

    Args:
        image: the scan's file or folder.
        patient: its patient; with the name of the file it seeds the draws, so that they depend neither on where the
            data lie nor on the order of the work.
        part: path, without suffix, that the cubes and their record are written to.
        preprocessing: steps from the file to the scaled scan.
        places: says where its cubes lie.
        seed: seed of the store.
        dtype: type that the cubes are kept in.
    """

    image: str
    patient: str
    part: Path
    preprocessing: ScanPreprocessing
    places: CubePlaces
    seed: int
    dtype: str

    def run(self) -> dict[str, Any]:
        """Cut the cubes, write ``<part>.npy`` and ``<part>.json``, return the record that the latter holds.

        Axes along which a cube is one voxel thick are dropped.

        The record has ``reason`` instead of cubes for a scan that gives none; ``unreadable`` says whether that is
        the fault of the file.
        """
        key = self.preprocessing.keys[0]
        try:
            scan = self.preprocessing({key: self.image})[key]
        except ScanError as error:
            return {"unreadable": True, "found": error.found, "reason": f"{error.found} {error.remedy}"}
        except Exception as error:
            error.add_note(f"The scan was {self.image}.")
            raise
        array = scan.numpy() if not isinstance(scan, MetaTensor) else scan.as_tensor().numpy()
        try:
            placed = self.places.place(array, np.asarray(scan.affine), self.preprocessing.intensity, self._generator())
        except NoCubesError as error:
            return {"unreadable": False, "reason": str(error)}
        except ValueError as error:
            raise ValueError(f"{self.image}: {error}") from error
        size = tuple(self.places.cube_size)
        shape = (len(placed.corners), array.shape[0], *(side for side in size if side > 1))
        write_array(self.part.with_suffix(".npy"), _cut(placed, size), shape, self.dtype)
        before = [low for low, _ in placed.padding]
        record = {
            "corners": [[c - low for c, low in zip(corner, before, strict=True)] for corner in placed.corners],
            "spacing": [float(side) for side in affine_to_spacing(scan.affine, r=len(size))],
            "shape": list(shape[1:]),
            "padded": placed.is_padded,
        }
        write_json(self.part.with_suffix(".json"), record)
        return record

    def _generator(self) -> np.random.Generator:
        identity = f"{self.seed}|{self.patient}|{Path(self.image).name}"
        digest = hashlib.sha256(identity.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _cut(placed: PlacedCubes, size: Sequence[int]) -> Iterator[np.ndarray]:
    for corner in placed.corners:
        cube = tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))
        yield placed.scan[(slice(None), *cube)]
