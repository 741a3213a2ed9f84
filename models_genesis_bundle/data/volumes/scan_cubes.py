"""Training cubes, read from prepared volumes."""

from __future__ import annotations

import logging
import operator
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from models_genesis_bundle.data.datalists.patients import patient_hashes
from models_genesis_bundle.data.sampling.readable_scans import skipped_text
from models_genesis_bundle.data.sampling.seeded_dataset import EpochIndex
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler
from models_genesis_bundle.data.volumes.places import Places
from models_genesis_bundle.data.volumes.volume_file import random_matrix, read_oblique
from models_genesis_bundle.data.volumes.volumes import Volumes
from torch.utils.data import Dataset

__all__ = ["ScanCubes"]

logger = logging.getLogger(__name__)

_DRAWS = ("fresh", "fixed")
_FRESH_PLACES = 2048


@lru_cache(maxsize=512)
def _order(seed: int, scan: int, passes: int, count: int) -> np.ndarray:
    """The order in which a volume's places are taken, the first, second … time that all of them are."""
    return np.random.default_rng((seed, scan, passes)).permutation(count)


class ScanCubes(Dataset):
    """Dataset of cubes of scans, at other places in each epoch or always at the same ones.

    With ``draw="fresh"`` each volume has up to 2048 places, and each epoch takes other ones of them until all were taken,
    then in another order. What an item is follows from (`seed`, epoch, index), so that it is the same in any worker and
    after a restart. With ``draw="fixed"`` there are `cubes_per_scan` places, as in the paper.

    Args:
        volumes: the prepared volumes.
        scans: ``[{"image": path, "patient": name}, …]``; those that `volumes` left out are passed over.
        sampler: says which places a cube may have.
        cubes_per_scan: cubes of each scan in an epoch; fewer where a scan has fewer places.
        seed: start of the draws.
        draw: ``"fresh"`` or ``"fixed"``.
        rotation: with ``"fresh"``, largest rotation of a cube about each axis, in degrees.
        zoom: with ``"fresh"``, smallest and largest magnification of a cube.

    Shape:
        ``cubes[i]``, or ``cubes[EpochIndex(epoch, i)]``: ``{"image": (C, X, Y, Z) float32 array, "source": path of the
        scan, "cube": i}``. Axes along which the cubes are one voxel thick are dropped: slices of volumes are (C, X, Y).

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
        if draw not in _DRAWS:
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
        count = max(_FRESH_PLACES, cubes_per_scan) if draw == "fresh" else int(cubes_per_scan)
        named = [{"image": os.path.abspath(scan["image"]), "patient": str(scan["patient"])} for scan in scans]
        self.cubes_per_scan = int(cubes_per_scan)
        self.places = Places(volumes, named, sampler, count, self.seed)
        self.patients = {scan["image"]: scan["patient"] for scan in named}
        self._ends = np.cumsum(np.minimum(self.places.counts, self.cubes_per_scan))
        self._report()

    def _report(self) -> None:
        counts = np.array(self.places.counts)
        logger.info("%d cubes of %d scans in an epoch (%s)", len(self), len(counts), self.draw)
        if short := int((counts < self.cubes_per_scan).sum()):
            logger.info("%d scans have fewer places than the %d cubes wanted", short, self.cubes_per_scan)
        if self.places.padded:
            logger.info("%d scans are smaller than a cube and are padded", self.places.padded)
        if self.places.without:
            logger.warning("%s", skipped_text(self.places.without, len(counts) + len(self.places.without)))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int | EpochIndex) -> dict[str, Any]:
        epoch, item, repeat = index if isinstance(index, EpochIndex) else EpochIndex(0, index)
        number = operator.index(item)
        if not 0 <= number < len(self):
            raise IndexError(f"ScanCubes: cube {item} of {len(self)}.")
        image = self.image_of(number)
        if self.draw == "fixed":
            epoch = repeat = 0
        corner = self.corner_of(number, epoch)
        size = self.sampler.cube_size
        if self.turned:
            generator = np.random.default_rng((self.seed, epoch, number, repeat))
            matrix = random_matrix(self.rotation, self.zoom, self.volumes.spacing(image), generator)
            cube = read_oblique(lambda low, sides: self.volumes.read(image, low, sides), corner, size, matrix)
        else:
            cube = self.volumes.read(image, corner, size)
        flat = cube.reshape(cube.shape[0], *(side for side in size if side > 1))
        return {"image": flat, "source": image, "cube": number}

    def image_of(self, number: int) -> str:
        """The scan that an item's cubes are from."""
        return self.places.images[int(np.searchsorted(self._ends, number, side="right"))]

    def corner_of(self, number: int, epoch: int = 0) -> tuple[int, ...]:
        """The lowest corner of an item's cube in an epoch, in voxels of the volume; negative where it starts in padding."""
        scan = int(np.searchsorted(self._ends, number, side="right"))
        of_scan = number - (int(self._ends[scan - 1]) if scan else 0)
        corners = self.places.corners(self.places.images[scan])
        if self.draw == "fresh":
            in_an_epoch = min(len(corners), self.cubes_per_scan)
            passes, place = divmod(epoch * in_an_epoch + of_scan, len(corners))
            of_scan = int(_order(self.seed, scan, passes, len(corners))[place])
        return tuple(corners[of_scan].tolist())

    def record(self) -> dict[str, Any]:
        """Plain values about the data, for checkpoints: how many scans, patients and cubes, which patients, the settings.

        The patients' hashes (`patient_hashes`) let a later evaluation find out whether its test patients were trained on.
        """
        hashes = patient_hashes({self.patients[image] for image in self.places.images})
        settings = {
            "preprocessing": self.volumes.preprocessing.record(),
            "sampler": self.sampler.record(),
            "cubes_per_scan": self.cubes_per_scan,
            "seed": self.seed,
            "draw": self.draw,
            "rotation": self.rotation,
            "zoom": list(self.zoom),
        }
        return {
            "scans": len(self.places.images),
            "patients": len(hashes),
            "patient_hashes": hashes,
            "cubes": len(self),
            "settings": settings,
        }
