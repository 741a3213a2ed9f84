"""The scans that are embedded, and the places of their cubes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.datalists.candidates import join_candidates, read_candidates
from models_genesis_bundle.data.datalists.pretraining import list_scans
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, Channels, channel_count
from models_genesis_bundle.data.scans.load_scan import flat_affine
from models_genesis_bundle.data.volumes.candidate_cubes import corners_around, middle_corner
from monai.config import KeysCollection, PathLike
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey
from monai.utils.enums import MetaKeys

__all__ = ["CubePlacesd", "embedded_scans"]

PLACES = ("scan", "grid", "centre", "points")


def embedded_scans(
    dataset_dir: PathLike,
    candidates_file: PathLike | None = None,
    patient_regex: str | None = None,
    spatial_dims: int = 3,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List scans, with the candidate points of each where a file names them.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of candidate points, see `read_candidates`; its classes are not read. Scans without a point are
            left out.
        patient_regex: see `list_scans`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.
        channels: how many channels the network takes, or their names, see `segmentation_datalist`. For one channel, each file
            of a scan with several is a scan of its own.

    Returns:
        ``{"image": path, "patient": name}``, and with a `candidates_file` also ``points``, a list of different (x, y, z) in LPS
        millimetres.

    Raises:
        FileNotFoundError: the folder or file does not exist, or has no scan in it.
        DatalistError: candidates that belong to none of the scans, or cannot be read.
    """
    grouped = None if channel_count(channels) == 1 else channels
    scans: list[dict[str, Any]] = list_scans(dataset_dir, patient_regex, spatial_dims=spatial_dims, channels=grouped)
    if candidates_file is None:
        return scans
    with_points: dict[str, dict[str, Any]] = {}
    for item in join_candidates(read_candidates(candidates_file, labelled=False), scans, candidates_file):
        kept = {key: item[key] for key in ("image", "patient", CHANNEL_FILES) if key in item}
        scan = with_points.setdefault(item["image"], {**kept, "points": []})
        if item["point"] not in scan["points"]:
            scan["points"].append(item["point"])
    return list(with_points.values())


class CubePlacesd(MapTransform):
    """Choose the cubes of a preprocessed scan, and add their places in the file.

    ========== =============================================================================
    places     cubes
    ========== =============================================================================
    ``grid``   next to each other over the whole scan; the last ones end at its border
    ``scan``   the same; they become one vector, whose position is the middle of the scan
    ``centre`` one, from the middle of the scan
    ``points`` one around each of the item's ``points``, LPS millimetres as in LUNA16
    ========== =============================================================================

    Args:
        keys: the key of the scan, a MetaTensor (C, X, Y[, Z]) after ``ScanPreprocessing``.
        cube_size: sides of a cube in voxels, one for each axis of the scan.
        places: one of the table.

    Shape:
        Adds ``corner`` (n, axes), the cubes' lowest voxels in the preprocessed scan, negative where a cube begins outside;
        ``point`` (m, axes), the middle of each cube in LPS millimetres; ``voxel`` (m, axes), the same in voxels of the file
        (fractions count from the middle of a voxel). m is 1 for ``scan``, else n. ``points`` is removed.

    Raises:
        ValueError: other places; when called, points without ``places: points`` or the reverse, or a point outside its scan.
    """

    def __init__(self, keys: KeysCollection = "image", *, cube_size: Sequence[int], places: str = "scan") -> None:
        super().__init__(keys)
        if places not in PLACES:
            raise ValueError(f"places: expected one of {', '.join(PLACES)}, found {places!r}.")
        self.size = tuple(int(side) for side in cube_size)
        self.places = places

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the places."""
        placed = dict(data)
        points = placed.pop("points", None)
        if (points is not None) != (self.places == "points"):
            raise ValueError(
                f"places: {self.places} with{'' if points is not None else 'out'} a candidates_file; points, and only points, "
                "need one. Leave places out: it follows from the candidates_file."
            )
        scan: MetaTensor = placed[self.keys[0]]
        shape, dims = scan.shape[1:], len(scan.shape) - 1
        affine = np.asarray(scan.affine, dtype=float)
        lps = np.array([-1.0, -1.0, 1.0])[:dims]
        if self.places == "points":
            try:
                corners = corners_around(points, affine, shape, self.size)
            except ValueError as error:
                raise ValueError(f"{scan.meta[ImageMetaKey.FILENAME_OR_OBJ]}: {error}") from error
            middles = np.array(points, dtype=float) * lps
        else:
            corners = middle_corner(shape, self.size)[None] if self.places == "centre" else _grid(shape, self.size)
            centres = corners + (np.array(self.size) - 1) / 2
            if self.places == "scan":
                centres = (np.array(shape)[None] - 1) / 2
            middles = centres @ affine[:dims, :dims].T + affine[:dims, -1]
        own = torch.as_tensor(scan.meta[MetaKeys.ORIGINAL_AFFINE], dtype=torch.float64)
        own = np.asarray(own if dims == 3 else flat_affine(own))
        voxels = np.linalg.solve(own[:dims, :dims], (middles - own[:dims, -1]).T).T
        return {**placed, "corner": corners, "point": middles * lps, "voxel": voxels}


def _grid(shape: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Lowest corners of the fewest cubes that cover a scan, (n, axes); the middle along an axis shorter than a cube."""
    middle = middle_corner(shape, size)
    starts = [
        np.linspace(0, side - cube, -(-side // cube)).round().astype(int) if side > cube else [middle[axis]]
        for axis, (side, cube) in enumerate(zip(shape, size, strict=True))
    ]
    return np.array(list(product(*starts)))
