"""Training cubes from prepared volumes, along the scan's axes or rotated and magnified."""

from __future__ import annotations

import hashlib
import logging
import operator
import os
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.datalists.patients import labelled_record
from models_genesis_bundle.data.sampling.readable_scans import SkippedScansError, skipped_text
from models_genesis_bundle.data.sampling.seeded_dataset import EpochIndex
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler
from models_genesis_bundle.data.volumes.item_folder import ItemFolder, Job, Record
from models_genesis_bundle.data.volumes.oblique import random_matrix, read_oblique
from models_genesis_bundle.data.volumes.volumes import Volumes
from models_genesis_bundle.files import whole_file
from torch.utils.data import Dataset

logger = logging.getLogger(__name__)

_FRESH_PLACES = 2048


class ScanCubes(Dataset):
    """Dataset of cubes of scans, at new positions in each epoch or always at the same positions.

    With ``draw="fresh"``, each volume has up to 2048 places. Each epoch uses new places until all were used, and then again in
    another order. With ``draw="fixed"``, each volume has `cubes_per_scan` places, as in the paper. An item depends only on
    (`seed`, epoch, index), so that it is the same in any worker and after a restart.

    The places depend on the seed, the patient and the file name of the scan. They are stored in the folder of the volumes.

    Args:
        volumes: the prepared volumes.
        scans: ``[{"image": path, "patient": name}, …]``; scans that `volumes` excludes are ignored.
        sampler: chooses the places of the cubes.
        cubes_per_scan: number of cubes of each scan in an epoch, or fewer if a scan has fewer places.
        seed: random seed.
        draw: ``"fresh"`` or ``"fixed"``.
        rotation: with ``"fresh"``, largest rotation of a cube about each axis, in degrees.
        zoom: with ``"fresh"``, smallest and largest magnification of a cube.

    Shape:
        ``cubes[i]`` or ``cubes[EpochIndex(epoch, i)]``: ``{"image": float32 array (C, X, Y, Z), "source": path of the scan,
        "cube": i}``. Axes of one voxel are removed: slices of volumes are (C, X, Y).

    Attributes:
        images: the scans with places.
        counts: number of places of each of these scans.
        without: the reason why a scan has no place, by path.

    Raises:
        SkippedScansError: no scan gives a cube.
        ValueError: an argument is out of range.

    Examples:
        >>> from models_genesis_bundle.data import CubeSampler, EpochIndex, ScanCubes, ScanPreprocessing, Volumes, list_scans
        >>> scans = list_scans("phantoms/images")
        >>> volumes = Volumes("cache", scans, ScanPreprocessing(), num_workers=0)
        >>> cubes = ScanCubes(volumes, scans, CubeSampler((32, 32, 16)), cubes_per_scan=4)
        >>> len(cubes), cubes[EpochIndex(epoch=3, item=0)]["image"].shape
        (16, (1, 32, 32, 16))
    """

    by_epoch = True  # a `SeededDataset` asks for items by `EpochIndex`

    def __init__(
        self,
        volumes: Volumes,
        scans: Sequence[Mapping[str, Any]],
        sampler: CubeSampler,
        cubes_per_scan: int = 32,
        seed: int = 0,
        draw: str = "fresh",
        rotation: float = 0.0,
        zoom: Sequence[float] = (1.0, 1.0),
    ) -> None:
        if cubes_per_scan < 1:
            raise ValueError(f"ScanCubes: cubes_per_scan must be 1 or more, got {cubes_per_scan}.")
        if draw not in ("fresh", "fixed"):
            raise ValueError(f"ScanCubes: draw must be 'fresh' or 'fixed', got {draw!r}.")
        if not 0 <= rotation <= 180 or len(zoom) != 2 or not 0 < zoom[0] <= zoom[1]:
            raise ValueError(
                f"ScanCubes: rotation must lie in 0 … 180 degrees and zoom must be two factors above 0 in ascending order, "
                f"got {rotation} and {tuple(zoom)}."
            )
        self.turned = rotation > 0 or tuple(zoom) != (1, 1)
        if self.turned and draw == "fixed":
            raise ValueError("ScanCubes: rotation and zoom need draw='fresh': fixed cubes lie along the scan's axes.")
        dims = volumes.preprocessing.spatial_dims
        if len(sampler.cube_size) != dims:
            raise ValueError(f"ScanCubes: cube_size {sampler.cube_size} does not fit spatial_dims={dims}.")
        self.volumes, self.sampler, self.seed, self.draw = volumes, sampler, int(seed), draw
        self.rotation, self.zoom = float(rotation), tuple(float(factor) for factor in zoom)
        self.cubes_per_scan = int(cubes_per_scan)
        patients = {os.path.abspath(scan["image"]): str(scan["patient"]) for scan in scans}
        self.patients = {image: patient for image, patient in patients.items() if image in volumes}
        self._records = self._draw_places()
        self.images = [image for image, record in self._records.items() if record["count"]]
        self.counts = [self._records[image]["count"] for image in self.images]
        self.without = {image: record["reason"] for image, record in self._records.items() if not record["count"]}
        if not self.images:
            reasons = {image: reason for image, reason in volumes.left_out.items() if image in patients} | self.without
            raise SkippedScansError(skipped_text(reasons, len(reasons)))
        self._ends = np.cumsum(np.minimum(self.counts, self.cubes_per_scan))
        self._report()

    def _draw_places(self) -> dict[str, Record]:
        count = max(_FRESH_PLACES, self.cubes_per_scan) if self.draw == "fresh" else self.cubes_per_scan
        settings = {"sampler": self.sampler.record(), "count": count, "seed": self.seed}
        self._places = ItemFolder(self.volumes.items.folder, "places", settings, ".places")

        image_of = {self._places_key(image): image for image in self.patients}

        def job(key: str) -> Job:
            image = image_of[key]
            identity = f"{self.seed}|{self.patients[image]}|{Path(image).name}"
            volumes, path = self.volumes.alone(image), self._places.path(key)
            return partial(_draw_corners, image, identity, volumes, self.sampler, count, path)

        wanted = {key: self.volumes.fingerprint(image) for key, image in image_of.items()}
        records = self._places.open_or_make(wanted, job, self.volumes.num_workers, self.volumes.scheduler)
        return {image_of[key]: record for key, record in records.items()}

    def _places_key(self, image: str) -> str:
        """The key of a scan's places, with the patient, because the places depend on it."""
        return f"{image}|{self.patients[image]}"

    def _report(self) -> None:
        logger.info("%d cubes of %d scans in an epoch (%s)", len(self), len(self.images), self.draw)
        if short := sum(count < self.cubes_per_scan for count in self.counts):
            logger.info("%d scans have fewer places than the %d cubes wanted", short, self.cubes_per_scan)
        if padded := sum(record.get("padded", False) for record in self._records.values()):
            logger.info("%d scans are smaller than a cube and are padded", padded)
        if self.without:
            logger.warning("%s", skipped_text(self.without, len(self._records)))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int | EpochIndex) -> dict[str, Any]:
        epoch, item, repeat = index if isinstance(index, EpochIndex) else EpochIndex(0, index)
        number = operator.index(item)
        if not 0 <= number < len(self):
            raise IndexError(f"ScanCubes: cube {item} of {len(self)}.")
        image = self.images[self._scan_of(number)]
        corner = self.corner_of(number, epoch)
        size = self.sampler.cube_size
        if self.turned:
            generator = np.random.default_rng((self.seed, epoch, number, repeat))
            matrix = random_matrix(self.rotation, self.zoom, self.volumes.spacing(image), generator)
            cube = read_oblique(partial(self.volumes.read, image), corner, size, matrix)
        else:
            cube = self.volumes.read(image, corner, size)
        flat = cube.reshape(cube.shape[0], *(side for side in size if side > 1))
        return {"image": flat, "source": image, "cube": number}

    def _scan_of(self, number: int) -> int:
        return int(np.searchsorted(self._ends, number, side="right"))

    def corner_of(self, number: int, epoch: int = 0) -> tuple[int, ...]:
        """The lowest corner of a cube in an epoch, in voxels of the volume; negative if the cube begins in the padding."""
        scan = self._scan_of(number)
        of_scan = number - (int(self._ends[scan - 1]) if scan else 0)
        corners = self.corners(self.images[scan])
        if self.draw == "fresh":
            in_an_epoch = min(len(corners), self.cubes_per_scan)
            passes, place = divmod(epoch * in_an_epoch + of_scan, len(corners))
            of_scan = int(_order(self.seed, scan, passes, len(corners))[place])
        return tuple(corners[of_scan].tolist())

    def corners(self, image: str) -> np.ndarray:
        """The lowest corners of all cubes of a scan, (count, axes), in voxels."""
        record = self._records[image]
        return _read_corners(self._places.path(self._places_key(image)), record["checksum"], record["count"])

    def record(self) -> dict[str, Any]:
        """Plain values for checkpoints: numbers of scans, patients and cubes, hashes of the patients, settings."""
        settings = {
            "preprocessing": self.volumes.preprocessing.record(),
            "sampler": self.sampler.record(),
            "cubes_per_scan": self.cubes_per_scan,
            "seed": self.seed,
            "draw": self.draw,
            "rotation": self.rotation,
            "zoom": list(self.zoom),
        }
        scans = [{"image": image, "patient": self.patients[image]} for image in self.images]
        return {**labelled_record(scans), "cubes": len(self), "settings": settings}


@lru_cache(maxsize=512)
def _order(seed: int, scan: int, passes: int, count: int) -> np.ndarray:
    """The order of a volume's places after a number of passes over all places."""
    return np.random.default_rng((seed, scan, passes)).permutation(count)


@lru_cache(maxsize=512)
def _read_corners(file: str, checksum: int, count: int) -> np.ndarray:
    content = Path(file).read_bytes()
    if zlib.crc32(content) != checksum:
        raise ValueError(
            f"{file}: this list of places is damaged. Remove the file and start again; it will be created again."
        )
    return np.frombuffer(content, dtype="<i4").reshape(count, -1)


def _draw_corners(image: str, identity: str, volumes: Volumes, sampler: CubeSampler, count: int, path: str) -> Record:
    """Choose the places in one volume and write them, in any process."""
    shape = volumes.shape(image)
    padding = sampler.padding(shape)
    padded = any(after for _, after in padding)
    if padded and sampler.small_scans == "skip":
        return {"bytes": 0, "count": 0, "reason": f"its shape {shape} is below the cube {sampler.cube_size}."}
    corner = [-before for before, _ in padding]
    size = [side + sum(more) for side, more in zip(shape, padding, strict=True)]
    scan = volumes.read(image, corner, size)
    digest = hashlib.sha256(os.fsencode(identity)).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    try:
        found = sampler.sample(scan, volumes.preprocessing.intensity, count, generator)
    except ValueError as error:
        raise ValueError(f"{image}: {error}") from error
    if not found:
        reason = f"no cube of {sampler.cube_size} with margin {sampler.margin} in its shape {tuple(size)} satisfies {sampler.rule}."
        return {"bytes": 0, "count": 0, "reason": reason}
    content = (np.array(found, dtype="<i4") + np.array(corner, dtype="<i4")).tobytes()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)
    return {"bytes": len(content), "count": len(found), "checksum": zlib.crc32(content), "padded": padded}
