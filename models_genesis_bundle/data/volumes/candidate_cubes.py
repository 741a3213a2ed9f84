"""Labelled cubes around candidate points, or from the middle of images."""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from models_genesis_bundle.data.datalists.patients import labelled_record
from models_genesis_bundle.data.datalists.splits import take_fraction
from models_genesis_bundle.data.volumes.volumes import Volumes
from torch.utils.data import Dataset

logger = logging.getLogger(__name__)

_LARGEST_DISTANCE_OUTSIDE = 1.0


class CandidateCubes(Dataset):
    """Dataset of one cube for each item, read from prepared volumes.

    The cube lies around the ``point`` of an item or, if it has none, in the middle of the image. Voxels outside of the scan
    have the darkest value. Items of scans that `volumes` skipped are also skipped.

    Args:
        items: ``{"image": path, "patient": name, "label": class}``, and ``"point"``: (x, y, z) in millimetres and LPS axes
            for cubes around points; see `classification_datalist`. ``label`` may be missing for inference.
        volumes: the prepared volumes of the items' scans.
        cube_size: sides of a cube in voxels; with two sides, the cubes are axial slices of volumes.
        label_fraction: fraction of the patients to use, in (0, 1], with every class; see `take_fraction`.
        label_fraction_seed: another seed keeps other patients.
        shots: number of patients to use, instead of `label_fraction`.
        also: keys of further numbers, such as ``diameter_mm``; NaN if an item has no value.

    Shape:
        ``cubes[i]``: ``image``, a float32 array (C, X, Y, Z); ``source``, the path of the scan; ``patient``; ``case``, the path or
        the scan's name with the point; ``label``, ``scan`` and ``lesion`` if the items have them; ``point``, a float64 array
        (3,), if they have points; and the keys in `also`.

    Raises:
        ValueError: there are no items; only some items have a point, label, scan or lesion; a value of a key in `also` is not
            a number, or no item has the key; or a point lies outside of its scan.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        volumes: Volumes,
        cube_size: Sequence[int],
        label_fraction: float = 1.0,
        label_fraction_seed: int = 0,
        also: Sequence[str] = (),
        shots: int | None = None,
    ) -> None:
        if not items:
            raise ValueError("CandidateCubes: the list of items is empty. Check the split of the data.")
        for key in ("point", "label", "scan", "lesion"):
            having = sum(key in item for item in items)
            if having not in (0, len(items)):
                raise ValueError(
                    f"CandidateCubes: expected the entry {key!r} in all items or in none, found it in {having} of {len(items)}."
                )
        for key in also:
            if not any(key in item for item in items):
                raise ValueError(f"CandidateCubes: no item has an entry {key!r}; the first has {', '.join(items[0])}.")
        items = [{**item, **{key: _number(item, key) for key in also}} for item in items]
        by_scan: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for item in items:
            by_scan[os.path.abspath(item["image"])].append(item)
        twice = [image for image, of_scan in by_scan.items() if len(of_scan) > 1 and "point" not in of_scan[0]]
        if twice:
            raise ValueError(
                f"CandidateCubes: {twice[0]} is listed {len(by_scan[twice[0]])} times without a point. List it once."
            )
        self.also = tuple(also)
        self.volumes = volumes
        missing = volumes.preprocessing.spatial_dims - len(cube_size)
        self.size = (*(int(side) for side in cube_size), *[1] * missing)  # a slice is one voxel thick
        self.items = [item for image, of_scan in by_scan.items() if image in volumes for item in of_scan]
        if not self.items:
            raise ValueError(
                f"CandidateCubes: the scans of all {len(items)} items were skipped; the log has the reasons."
            )
        if len(self.items) < len(items):
            message = "%d of %d items are skipped, because their scans cannot be used."
            logger.warning(message, len(items) - len(self.items), len(items))
        if label_fraction != 1 or shots is not None:
            self.items = take_fraction(self.items, label_fraction, label_fraction_seed, "label", shots)
        self._corners = self._find_corners()

    def _find_corners(self) -> np.ndarray:
        corners = []
        for image, items in itertools.groupby(self.items, key=lambda item: item["image"]):  # in the order of the scans
            points, shape = [item["point"] for item in items if "point" in item], self.volumes.shape(image)
            if not points:
                corners.append(middle_corner(shape, self.size)[None])
                continue
            try:
                corners.append(corners_around(points, self.volumes.affine(image), shape, self.size))
            except ValueError as error:
                raise ValueError(f"{image}: {error}") from error
        return np.concatenate(corners)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.items[index]
        source = os.path.abspath(item["image"])
        voxels = self.volumes.read(source, self._corners[index].tolist(), self.size)
        image = voxels.reshape(voxels.shape[0], *(side for side in self.size if side > 1))
        cube: dict[str, Any] = {"image": image, "source": source, "case": source, "patient": item["patient"]}
        cube |= {key: item[key] for key in ("label", "scan", "lesion") if key in item}
        if "point" in item:
            cube["point"] = np.asarray(item["point"], dtype=np.float64)
            cube["case"] = f"{item['scan']} ({' '.join(f'{value:g}' for value in item['point'])})"
        return cube | {key: item[key] for key in self.also}

    @property
    def labels(self) -> list[int]:
        """The class of each cube."""
        return [item["label"] for item in self.items]

    def record(self) -> dict[str, Any]:
        """Plain values for checkpoints: numbers of scans, patients and cubes by class, hashes of the patients, settings."""
        return {
            **labelled_record(list({item["image"]: item for item in self.items}.values())),
            "cubes": len(self),
            "settings": {"preprocessing": self.volumes.preprocessing.record(), "cube_size": list(self.size)},
            "classes": {str(label): count for label, count in sorted(Counter(self.labels).items())},
        }


def _number(item: Mapping[str, Any], key: str) -> float:
    value = item.get(key, "")
    try:
        return math.nan if value == "" else float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{item['image']}: expected a number as {key!r}, or nothing if it is unknown, found {value!r}. Correct the datalist."
        ) from None


def middle_corner(shape: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """The lowest corner in voxels of the cube in the middle of a volume; negative if the volume is smaller."""
    return np.trunc((np.array(shape) - np.array(size)) / 2).astype(int)


def corners_around(
    points: Sequence[Sequence[float]], affine: np.ndarray, shape: Sequence[int], size: Sequence[int]
) -> np.ndarray:
    """The lowest corners of cubes around points, (points, axes), in voxels; negative if a cube begins outside of the volume.

    The voxel nearest to a point lies at ``size // 2`` of its cube, as in MONAI's ``SpatialCrop``.

    Args:
        points: millimetres in the LPS axes of ITK, DICOM and LUNA16 (x to the patient's left, y to the back, z to the head).
        affine: matrix from voxels to RAS millimetres, 4 × 4 (3 × 3 in 2D).
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
            f"covers {reach} mm. Points must be LPS coordinates in millimetres, as in ITK and LUNA16. For RAS coordinates "
            "(NIfTI, 3D Slicer's display), change the signs of x and y."
        )
    return np.floor(voxels + 0.5).astype(int) - np.array(size) // 2
