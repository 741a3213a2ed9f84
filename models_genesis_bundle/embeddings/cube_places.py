"""Where the cubes lie that are embedded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.load_scan import flat_affine
from models_genesis_bundle.data.volumes.places import corners_around, middle_corner
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey
from monai.utils.enums import MetaKeys

__all__ = ["CubePlacesd"]

PLACES = ("scan", "grid", "centre", "points")


class CubePlacesd(MapTransform):
    """Says which cubes of a preprocessed scan are embedded, and where they lie in the file.

    ========== ===========================================================================
    places     cubes
    ========== ===========================================================================
    ``grid``   side by side over the whole scan; the last ones end at its border
    ``scan``   the same; they become one vector, whose position is the middle of the scan
    ``centre`` one, from the middle of the scan
    ``points`` one around each of the item's ``points``, LPS millimetres as in LUNA16
    ========== ===========================================================================

    Args:
        keys: the key of the scan, a MetaTensor (C, X, Y[, Z]) after ``ScanPreprocessing``.
        cube_size: sides of a cube in voxels, one for each axis of the scan.
        places: one of the table.

    Shape:
        Adds ``corner`` (n, axes), the cubes' lowest voxels in the preprocessed scan, negative where a cube begins outside;
        ``point`` (m, axes), the middle of each cube in LPS millimetres; ``voxel`` (m, axes), the same in voxels of the file
        (fractions count from the middle of a voxel). m is 1 for ``scan``, else n. ``points`` is taken out.

    Raises:
        ValueError: for other places; when called, for points without ``places: points`` or the reverse, and for a point outside of
            its scan.
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
    """Lowest corners of as few cubes as cover a scan, (n, axes); along an axis shorter than a cube, the middle."""
    middle = middle_corner(shape, size)
    starts = [
        np.linspace(0, side - cube, -(-side // cube)).round().astype(int) if side > cube else [middle[axis]]
        for axis, (side, cube) in enumerate(zip(shape, size, strict=True))
    ]
    return np.array(list(product(*starts)))
