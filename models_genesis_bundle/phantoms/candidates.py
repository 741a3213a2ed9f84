"""Candidate points in phantoms, for a first classification run and for tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from models_genesis_bundle.files import write_table
from scipy import ndimage

__all__ = ["phantom_candidates"]

LUNG, NODULE = 1, 2
SMALLEST_DISTANCE = 15.0  # millimetres, of the other places from a nodule
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class", "lesion", "diameter_mm")


def phantom_candidates(directory: str | os.PathLike, negatives_per_scan: int = 6, seed: int = 0) -> Path:
    """Write the candidates of a set of phantoms, derived from their labels: nodules, and other places in the lung.

    A candidate of class 1 lies in the middle of each nodule, with the diameter of a ball of the same volume; candidates
    of class 0 are drawn uniformly from the lung, 15 mm or more away from nodules.

    Args:
        directory: the phantoms, as `make_phantoms` makes them.
        negatives_per_scan: candidates of class 0 in each phantom.
        seed: start of the draws.

    Returns:
        ``candidates.csv`` in the folder, in LUNA16's layout: coordinates in millimetres and LPS axes, and the columns
        ``lesion`` and ``diameter_mm``; replaced atomically.
    """
    directory = Path(directory)
    phantoms = json.loads((directory / "dataset.json").read_text())["training"]
    rows: list[dict[str, Any]] = []
    for number, phantom in enumerate(phantoms):
        rng = np.random.default_rng((seed, number))
        rows += _candidates(directory / phantom["label"], negatives_per_scan, rng)
    return write_table(directory / "candidates.csv", rows, COLUMNS)


def _candidates(label_file: Path, negatives: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    image = nibabel.nifti1.Nifti1Image.from_filename(label_file)
    labels, affine = np.asarray(image.dataobj), image.affine
    spacing = nibabel.affines.voxel_sizes(affine)
    name = label_file.name.removesuffix(".nii.gz")
    numbered, count = ndimage.label(labels == NODULE)
    found = list(range(1, count + 1))
    centres = ndimage.center_of_mass(np.ones_like(numbered), numbered, found)
    volumes = ndimage.sum_labels(np.ones_like(numbered), numbered, found) * np.prod(spacing)
    diameters = np.cbrt(6 * volumes / np.pi).round(3)
    rows = [
        _row(name, centre, affine, 1, lesion=f"{name}_{number}", diameter_mm=float(diameter))
        for number, centre, diameter in zip(found, centres, diameters, strict=True)
    ]
    free = labels == LUNG
    if count:
        free &= ndimage.distance_transform_edt(labels != NODULE, sampling=spacing) >= SMALLEST_DISTANCE
    places = np.argwhere(free)
    chosen = rng.choice(len(places), size=min(negatives, len(places)), replace=False)
    return rows + [_row(name, places[place], affine, 0) for place in chosen]


def _row(scan: str, voxel: Any, affine: np.ndarray, label: int, **more: Any) -> dict[str, Any]:
    x, y, z = nibabel.affines.apply_affine(affine, voxel)
    coordinates = {"coordX": round(-x, 3), "coordY": round(-y, 3), "coordZ": round(z, 3)}
    return {"seriesuid": scan, **coordinates, "class": label, **more}
