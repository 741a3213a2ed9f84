"""The scans to embed: the places of their cubes, and the files of their vectors."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.datalists.candidates import join_candidates, read_candidates
from models_genesis_bundle.data.datalists.scan_lists import list_scans
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, Channels, channel_count
from models_genesis_bundle.data.scans.load_scan import flat_affine
from models_genesis_bundle.data.volumes.candidate_cubes import corners_around, middle_corner
from models_genesis_bundle.embeddings.labelled_vectors import Embeddings
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.reports import ScanResults
from monai.config import KeysCollection, PathLike
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, convert_to_numpy
from monai.utils.enums import CommonKeys, MetaKeys

logger = logging.getLogger(__name__)

PLACES = ("scan", "grid", "centre", "points")
_ENDING = "vectors.npz"


def embedded_scans(
    dataset_dir: PathLike,
    candidates_file: PathLike | None = None,
    patient_regex: str | None = None,
    spatial_dims: int = 3,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List scans as `list_scans` does. With a `candidates_file`, list only scans with ``points``, different (x, y, z) in LPS mm.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of points, see `read_candidates`, without classes.
        patient_regex: see `list_scans`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files are scans.
        channels: number of channels of the network, or their names, see `segmentation_datalist`. With one channel, each file of a
            multi-channel scan is a separate scan.

    Raises:
        FileNotFoundError: the folder or file does not exist, or has no scans.
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
    """Chooses the cubes of a preprocessed scan, and adds their places in the file.

    ========== =============================================================================
    places     cubes
    ========== =============================================================================
    ``grid``   next to each other over the whole scan; the last ones end at its border
    ``scan``   the same cubes, for a single vector, whose position is the middle of the scan
    ``centre`` one, from the middle of the scan
    ``points`` one around each of the item's ``points``, LPS millimetres as in LUNA16
    ========== =============================================================================

    Args:
        keys: the key of the scan, a MetaTensor (C, X, Y[, Z]) after ``ScanPreprocessing``.
        cube_size: sides of a cube in voxels, one for each axis of the scan.
        places: see the table.

    Shape:
        Adds ``corner`` (n, axes), the cubes' lowest voxels in the preprocessed scan, negative if a cube begins outside; ``point``
        (m, axes), the middle of each cube in LPS millimetres; ``voxel`` (m, axes), the same in voxels of the file (fractions
        count from the middle of a voxel). m is 1 for ``scan``, otherwise n. ``points`` is removed.

    Raises:
        ValueError: other places; points without ``places: points``, or the reverse; a point outside its scan.
    """

    def __init__(self, keys: KeysCollection = "image", *, cube_size: Sequence[int], places: str = "scan") -> None:
        super().__init__(keys)
        if places not in PLACES:
            raise ValueError(f"places: expected one of {', '.join(PLACES)}, found {places!r}.")
        self.size = tuple(cube_size)
        self.places = places

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the places."""
        placed = dict(data)
        points = placed.pop("points", None)
        if (points is not None) != (self.places == "points"):
            raise ValueError(
                f"places: found {self.places} with{'' if points is not None else 'out'} a candidates_file. Use places=points if, "
                "and only if, there is a candidates_file; this is the default."
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
        original = torch.as_tensor(scan.meta[MetaKeys.ORIGINAL_AFFINE], dtype=torch.float64)
        original = np.asarray(original if dims == 3 else flat_affine(original))
        voxels = np.linalg.solve(original[:dims, :dims], (middles - original[:dims, -1]).T).T
        return {**placed, "corner": corners, "point": middles * lps, "voxel": voxels}


def _grid(shape: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Lowest corners (n, axes) of the fewest cubes that cover a scan; cubes longer than an axis are centred on it."""
    starts = [
        np.linspace(0, side - cube, -(-side // cube)).round().astype(int) if side > cube else [middle]
        for side, cube, middle in zip(shape, size, middle_corner(shape, size), strict=True)
    ]
    return np.array(list(product(*starts)))


class ScanVectors(ScanResults):
    """Writes the vectors of each scan, such as ``a/ct_vectors.npz``, and joins them in one file; scans with vectors are skipped.

    List the object among the handlers of a `ScanEvaluator` with the inferer `CubeVectors`, and call `join` at the end. ``scans``
    is a result of `embedded_scans`. ``record`` has plain values that describe the vectors, with ``places`` as in `CubePlacesd`;
    name and SHA-256 of the weight file are added. All else is as in `ScanResults`.
    """

    def __init__(
        self,
        scans: Sequence[Mapping[str, Any]],
        dataset_dir: str,
        output_dir: str,
        ckpt_path: str,
        record: Mapping[str, Any],
    ) -> None:
        super().__init__(scans, dataset_dir, output_dir, ckpt_path, images={})
        self.about = {"weights": {"file": Path(ckpt_path).name, "sha256": file_sha256(ckpt_path)}, **record}

    @property
    def endings(self) -> list[str]:
        """The ending of each scan's file."""
        return [_ENDING]

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The entry of each scan in ``results.json``, with a digest of its points."""
        entries = super().entries
        for scan in self.scans:
            if "points" in scan:
                text = json.dumps(scan["points"])
                entries[scan["result"]]["points"] = hashlib.sha256(text.encode()).hexdigest()
        return entries

    def write_case(self, case: Mapping[str, Any]) -> None:
        """Write the vectors of a scan."""
        point, voxel = (convert_to_numpy(case[name]).astype(float) for name in ("point", "voxel"))
        name, count = case["result"], len(point)
        several = self.about["places"] in ("grid", "points")
        places = [f" ({' '.join(f'{value:.7g}' for value in one)})" if several else "" for one in point]
        arrays = {
            **{key: convert_to_numpy(value) for key, value in case[CommonKeys.PRED].items()},
            "case": np.array([f"{name}{place}" for place in places]),
            "image": np.full(count, self.entries[name]["image"]),
            "patient": np.full(count, str(case["patient"])),
            "point": point,
            "voxel": voxel,
        }
        Embeddings.of(arrays, self.about).write(self.path(name, _ENDING), index=False)

    def join(self) -> Path | None:
        """Write ``embeddings.npz`` and ``embeddings.csv`` of all scans with vectors; None if there are none."""
        names = [scan["result"] for scan in self.scans if self.is_written(scan["result"])]
        if not names:
            return None
        parts = [Embeddings.read(self.path(name, _ENDING)) for name in names]
        arrays = {key: np.concatenate([part.arrays[key] for part in parts]) for key in parts[0].arrays}
        every = Embeddings.of(arrays, parts[0].record)
        path = every.write(self.output_dir / "embeddings.npz")
        logger.info("%d vectors of %d numbers, of %d scans: %s", len(every), every.vectors.shape[1], len(parts), path)
        return path
