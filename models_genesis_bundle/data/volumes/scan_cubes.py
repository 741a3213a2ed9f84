"""Training cubes, read from prepared volumes, along the scan's axes or turned and magnified."""

from __future__ import annotations

import logging
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.datalists.patients import patient_hashes
from models_genesis_bundle.data.sampling.readable_scans import skipped_text
from models_genesis_bundle.data.sampling.seeded_dataset import EpochIndex
from models_genesis_bundle.data.volumes.cube_sampler import CubeSampler
from models_genesis_bundle.data.volumes.places import Places
from models_genesis_bundle.data.volumes.volumes import Volumes
from monai.networks.layers.factories import Pool
from scipy.spatial.transform import Rotation
from torch.utils.data import Dataset

__all__ = ["ScanCubes", "random_matrix", "read_oblique"]

logger = logging.getLogger(__name__)

_DRAWS = ("fresh", "fixed")
_FRESH_PLACES = 2048


@lru_cache(maxsize=512)
def _order(seed: int, scan: int, passes: int, count: int) -> np.ndarray:
    """The order of a volume's places after this number of passes over all of them."""
    return np.random.default_rng((seed, scan, passes)).permutation(count)


class ScanCubes(Dataset):
    """Dataset of cubes of scans, at new places in each epoch or always at the same ones.

    With ``draw="fresh"`` each volume has up to 2048 places. Each epoch takes new ones until all were taken, and then again in
    another order. An item depends on (`seed`, epoch, index) alone, so that it is the same in any worker and after a
    restart. With ``draw="fixed"`` there are `cubes_per_scan` places, as in the paper.

    Args:
        volumes: the prepared volumes.
        scans: ``[{"image": path, "patient": name}, …]``; scans that `volumes` left out are ignored.
        sampler: draws the places of the cubes.
        cubes_per_scan: cubes of each scan in an epoch; fewer if a scan has fewer places.
        seed: seed of the draws.
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
        self.cubes_per_scan = int(cubes_per_scan)
        count = max(_FRESH_PLACES, self.cubes_per_scan) if draw == "fresh" else self.cubes_per_scan
        self.patients = {os.path.abspath(scan["image"]): str(scan["patient"]) for scan in scans}
        self.places = Places(volumes, self.patients, sampler, count, self.seed)
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
        """The scan of an item."""
        return self.places.images[int(np.searchsorted(self._ends, number, side="right"))]

    def corner_of(self, number: int, epoch: int = 0) -> tuple[int, ...]:
        """The lowest corner of an item's cube in an epoch, in voxels of the volume; negative if it starts in padding."""
        scan = int(np.searchsorted(self._ends, number, side="right"))
        of_scan = number - (int(self._ends[scan - 1]) if scan else 0)
        corners = self.places.corners(self.places.images[scan])
        if self.draw == "fresh":
            in_an_epoch = min(len(corners), self.cubes_per_scan)
            passes, place = divmod(epoch * in_an_epoch + of_scan, len(corners))
            of_scan = int(_order(self.seed, scan, passes, len(corners))[place])
        return tuple(corners[of_scan].tolist())

    def record(self) -> dict[str, Any]:
        """Plain values about the data, for checkpoints: numbers of scans, patients and cubes, hashes of the patients, settings."""
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


def random_matrix(
    rotation: float, zoom: Sequence[float], spacing: Sequence[float], generator: np.random.Generator
) -> np.ndarray:
    """Draw a rotation and a zoom, in millimetres, as a matrix from voxel offsets in the cube to those in the volume.

    Args:
        rotation: largest angle about each axis, in degrees; angles are uniform in ±rotation.
        zoom: smallest and largest magnification of the anatomy in the cube; its logarithm is uniform.
        spacing: sides of a voxel in millimetres, 3 or 2.
        generator: source of the draws.
    """
    axes = len(spacing)
    names, signs = ("z", [1]) if axes == 2 else ("xyz", [1, -1, 1])
    angles = generator.uniform(-rotation, rotation, len(names)) * signs
    turn = Rotation.from_euler(names, angles, degrees=True).as_matrix().reshape(3, 3)[:axes, :axes]
    scale = np.exp(generator.uniform(*np.log(zoom)))
    return np.diag(1 / np.array(spacing)) @ turn @ np.diag(spacing) / scale


def read_oblique(
    read: Callable[[Sequence[int], Sequence[int]], np.ndarray],
    corner: Sequence[int],
    size: Sequence[int],
    matrix: np.ndarray,
) -> np.ndarray:
    """Read a box that holds the turned cube, and resample it once, linearly, to float32 (C, *size).

    If the cube's voxels are at least twice as long as the volume's, the box is first averaged over blocks of voxels, so that
    voxels between the sampled points count.

    Args:
        read: gives (C, *size) for a lowest corner and a size in voxels.
        corner: lowest voxel of the cube before it is turned about its middle.
        size: its sides in voxels.
        matrix: see `random_matrix`.
    """
    half = (np.array(size) - 1) / 2
    middle = np.array(corner) + half
    block = max(1, int(np.linalg.det(matrix) ** (1 / len(size)) + 1e-6))  # voxels of the volume in one of the cube
    reach = np.abs([matrix @ (half * signs) for signs in product((-1, 1), repeat=len(size))]).max(axis=0)
    reach = reach + (block - 1) / 2
    lowest = np.floor(middle - reach).astype(int)
    sides = np.ceil((np.ceil(middle + reach) - lowest + 1) / block).astype(int)
    box = torch.from_numpy(read(lowest.tolist(), (sides * block).tolist()))[None]
    if block > 1:
        box = Pool[Pool.AVG, len(size)](block)(box)
    # grid_sample needs the matrix between offsets from the middles, as parts of half the sides, with the last axis first.
    half_box = np.maximum((sides - 1) / 2, 0.5)
    shift = ((middle - lowest - (block - 1) / 2) / block - (sides - 1) / 2) / half_box
    scaled = matrix / block * np.maximum(half, 0.5) / half_box[:, None]
    theta = torch.as_tensor(np.column_stack([scaled[::-1, ::-1], shift[::-1]])[None], dtype=torch.float32)
    grid = torch.nn.functional.affine_grid(theta, [1, box.shape[1], *size], align_corners=True)
    cube = torch.nn.functional.grid_sample(box, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return cube[0].numpy()
