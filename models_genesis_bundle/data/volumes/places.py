"""Places of cubes in volumes, drawn once for each volume and kept on the disk."""

from __future__ import annotations

import hashlib
import itertools
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.sampling.readable_scans import SkippedScansError, skipped_text
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler
from models_genesis_bundle.data.volumes.item_folder import ItemFolder, Job, Record
from models_genesis_bundle.data.volumes.volumes import Volumes
from models_genesis_bundle.files import whole_file

__all__ = ["Places", "corners_around", "middle_corner"]

_LARGEST_DISTANCE_OUTSIDE = 1.0


def middle_corner(shape: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """The lowest corner, in voxels, of the cube in the middle of a volume; negative if the volume is smaller."""
    return np.trunc((np.array(shape) - np.array(size)) / 2).astype(int)


def corners_around(
    points: Sequence[Sequence[float]], affine: np.ndarray, shape: Sequence[int], size: Sequence[int]
) -> np.ndarray:
    """The lowest corners of cubes around points, (points, axes), in voxels; negative if a cube begins outside of the volume.

    The voxel nearest to a point lies at ``size // 2`` of its cube, as in MONAI's ``SpatialCrop``.

    Args:
        points: in millimetres, in the LPS axes of ITK, DICOM and LUNA16 (x to the patient's left, y to the back, z to the
            head).
        affine: from voxels to millimetres in RAS, 4 × 4 (3 × 3 in 2D).
        shape: sides of the volume in voxels.
        size: sides of the cubes in voxels.

    Raises:
        ValueError: a point has another number of coordinates, or lies outside of the volume.

    Examples:
        >>> corners_around([(-5.0, -5.0, 5.0)], np.eye(4), (10, 10, 10), (4, 4, 4)).tolist()
        [[3, 3, 3]]
    """
    dims = len(size)
    wrong = next((point for point in points if len(point) != dims), None)
    if wrong is not None:
        raise ValueError(f"A point needs {dims} coordinates for cubes of {tuple(size)}, got {wrong}.")
    to_lps = np.array([-1, -1, 1])[:dims]
    ras = np.array(points, dtype=np.float64) * to_lps
    voxels = np.linalg.solve(affine[:dims, :dims], (ras - affine[:dims, -1]).T).T
    highest = np.array(shape) - 1
    outside = ((voxels < -_LARGEST_DISTANCE_OUTSIDE) | (voxels > highest + _LARGEST_DISTANCE_OUTSIDE)).any(axis=1)
    if outside.any():
        ends = np.array(list(itertools.product(*((0, end) for end in highest))))
        ends = (ends @ affine[:dims, :dims].T + affine[:dims, -1]) * to_lps
        lowest, largest = ends.min(axis=0), ends.max(axis=0)
        reach = ", ".join(f"{low:.1f} … {high:.1f}" for low, high in zip(lowest, largest, strict=True))
        first = ", ".join(f"{value:.1f}" for value in points[int(np.flatnonzero(outside)[0])])
        raise ValueError(
            f"{int(outside.sum())} of {len(voxels)} points lie outside of the scan: the first is ({first}) mm, the scan "
            f"reaches over {reach} mm. Points must be in millimetres and LPS axes, as in ITK and LUNA16: for RAS (NIfTI, "
            "3D Slicer's display) change the signs of x and y."
        )
    return np.floor(voxels + 0.5).astype(int) - np.array(size) // 2


class Places:
    """Up to `count` different places of cubes in each volume, at random, that the sampler's rule accepts.

    The rule reads a whole volume once. A training then reads only the voxels of its cubes. The places depend on the seed,
    the patient and the name of the scan's file. `patients` has the patient of each scan, by its path; scans that
    `volumes` left out are ignored.

    Attributes:
        images: the scans with a place, in the order of `patients`.
        counts: number of places of each of them.
        padded: number of scans that are smaller than a cube.
        without: why scans have no place, by path.

    Raises:
        SkippedScansError: no scan has a place.
    """

    def __init__(
        self, volumes: Volumes, patients: Mapping[str, str], sampler: CubeSampler, count: int, seed: int
    ) -> None:
        settings = {"sampler": sampler.record(), "count": count, "seed": seed}
        self.items = ItemFolder(volumes.items.folder, "places", settings, ".places")
        patients = {image: patient for image, patient in patients.items() if image in volumes}

        def job(image: str) -> Job:
            return partial(_Draw(self.items, volumes.alone(image), sampler, count, seed, patients[image]), image)

        wanted = {image: f"{volumes.fingerprint(image)} {patient}" for image, patient in patients.items()}
        self._records = self.items.open_or_make(
            wanted, job, volumes.num_workers, volumes.scheduler, "Drawing places of cubes"
        )
        self.images = [image for image, record in self._records.items() if record["count"]]
        self.counts = [self._records[image]["count"] for image in self.images]
        self.padded = sum(record.get("padded", False) for record in self._records.values())
        self.without = {image: record["reason"] for image, record in self._records.items() if not record["count"]}
        if not self.images:
            raise SkippedScansError(skipped_text(self.without, len(self.without)))

    def corners(self, image: str) -> np.ndarray:
        """The lowest corners of a volume's cubes, (count, axes), in voxels; negative if a cube starts in the padding."""
        record = self._records[image]
        return _read_corners(self.items.path(image), record["checksum"], record["count"])


@lru_cache(maxsize=512)
def _read_corners(file: str, checksum: int, count: int) -> np.ndarray:
    content = Path(file).read_bytes()
    if zlib.crc32(content) != checksum:
        raise ValueError(f"{file}: this list of places is damaged. Remove the file and start again: it is made anew.")
    return np.frombuffer(content, dtype="<i4").reshape(count, -1)


@dataclass(frozen=True)
class _Draw:
    """Draws the places in one volume, in any process."""

    items: ItemFolder
    volumes: Volumes
    sampler: CubeSampler
    count: int
    seed: int
    patient: str

    def __call__(self, image: str) -> Record:
        shape = self.volumes.shape(image)
        padding = self.sampler.padding(shape)
        padded = any(after for _, after in padding)
        if padded and self.sampler.small_scans == "skip":
            return {"bytes": 0, "count": 0, "reason": f"its shape {shape} is below the cube {self.sampler.cube_size}."}
        corner = [-before for before, _ in padding]
        size = [side + sum(more) for side, more in zip(shape, padding, strict=True)]
        scan = self.volumes.read(image, corner, size)
        identity = f"{self.seed}|{self.patient}|{Path(image).name}"
        digest = hashlib.sha256(os.fsencode(identity)).digest()
        generator = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        try:
            found = self.sampler.sample(scan, self.volumes.preprocessing.intensity, self.count, generator)
        except ValueError as error:
            raise ValueError(f"{image}: {error}") from error
        if not found:
            reason = (
                f"no cube of {self.sampler.cube_size} with margin {self.sampler.margin} in its shape {tuple(size)} satisfies "
                f"{self.sampler.rule}."
            )
            return {"bytes": 0, "count": 0, "reason": reason}
        content = (np.array(found, dtype="<i4") + np.array(corner, dtype="<i4")).tobytes()
        with whole_file(self.items.file(image)) as unfinished:
            unfinished.write_bytes(content)
        return {"bytes": len(content), "count": len(found), "checksum": zlib.crc32(content), "padded": padded}
