"""Sets of phantoms, with labels and candidates: for a first run, and for tests."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from filelock import FileLock
from models_genesis_bundle.files import whole_file, write_json, write_table
from models_genesis_bundle.phantoms.anatomy import LUNG_LABEL, NODULE_LABEL, draw_chest
from scipy import ndimage
from tqdm import tqdm

logger = logging.getLogger(__name__)

DATALIST = "dataset.json"
FORMAT_VERSION = 2
SMALLEST_DISTANCE = 15.0  # millimetres between a nodule and the other candidates
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class", "lesion", "diameter_mm")


def make_phantoms(
    directory: str | os.PathLike,
    count: int = 8,
    size: Sequence[int] = (160, 160, 128),
    spacing: Sequence[float] = (2.0, 2.0, 2.5),
    seed: int = 0,
) -> Path:
    """Make a set of phantoms, or complete an existing one, and return its folder.

    A phantom is a synthetic chest CT with ribs, lungs, vessels, bronchi, heart, spine, liver, stomach, one to five nodules, and
    a scanner's blur and noise. It depends only on ``seed`` and its number. The files are ``images/phantom_000.nii.gz`` (int16
    HU), ``labels/phantom_000.nii.gz`` (0 background, 1 lung, 2 nodule) and an MSD-style ``dataset.json``. With another seed
    than 0, the names contain the seed, as ``phantom_7_000``. Processes that make the same set wait for each other.

    Args:
        directory: folder of the set.
        count: number of phantoms, at least 1.
        size: voxels along X (right), Y (front), Z (head).
        spacing: sides of a voxel in millimetres; the whole chest needs 320 mm along each axis.
        seed: random seed of the shapes.

    Raises:
        ValueError: a count, size or spacing is out of range.
        FileExistsError: the directory contains other files, or phantoms with other settings.

    Examples:
        >>> from models_genesis_bundle.data import make_phantoms
        >>> folder = make_phantoms("phantoms", count=4, size=(64, 64, 48), spacing=(5.0, 5.0, 6.0))
        >>> len(list((folder / "images").iterdir()))
        4
    """
    directory = Path(directory)
    if count < 1 or min(size) < 16 or min(spacing) <= 0:
        raise ValueError(
            f"make_phantoms: needs a count of at least 1, sides of at least 16 voxels and a spacing above 0 mm, "
            f"got {count}, {tuple(size)} and {tuple(spacing)}."
        )
    settings = {"size": list(size), "spacing": list(spacing), "seed": seed, "format_version": FORMAT_VERSION}
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        listed = max(count, _count_listed(directory, settings))
        names = [f"phantom_{seed}_{index:03d}" if seed else f"phantom_{index:03d}" for index in range(listed)]
        made = [name for name in names if (directory / "labels" / f"{name}.nii.gz").exists()]
        more = [name for name in made if name not in names[:count]]
        _write_datalist(directory / DATALIST, names[:count] + more, settings)
        missing = [index for index in range(count) if names[index] not in made]
        for index in tqdm(missing, desc="Making phantoms", unit="phantom", disable=not missing):
            hu, labels = draw_chest(size, spacing, np.random.default_rng((seed, index)))
            _write_nifti(hu, spacing, directory / "images" / f"{names[index]}.nii.gz")
            _write_nifti(labels, spacing, directory / "labels" / f"{names[index]}.nii.gz")
    return directory


def _count_listed(directory: Path, settings: dict[str, Any]) -> int:
    """The number of phantoms in the datalist of a folder; an error if it contains other files or other phantoms."""
    datalist = directory / DATALIST
    if datalist.exists():
        content = json.loads(datalist.read_text())
        found = content.get("phantom_settings")
        if found != settings:
            raise FileExistsError(
                f"{directory}: contains phantoms with other settings ({found} instead of {settings}). "
                "Remove the folder, or choose another one."
            )
        return len(content["training"])
    if any(path.name != ".lock" for path in directory.iterdir()):
        raise FileExistsError(f"{directory}: contains files that are not phantoms. Choose an empty or a new folder.")
    return 0


def _write_datalist(path: Path, names: Sequence[str], settings: dict[str, Any]) -> None:
    content = {
        "name": "Phantoms: synthetic chest CTs",
        "description": "Drawn from shapes, not measured on anybody.",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "lung", "2": "nodule"},
        "phantom_settings": settings,
        "training": [
            {"image": f"images/{name}.nii.gz", "label": f"labels/{name}.nii.gz", "patient": name} for name in names
        ],
    }
    write_json(path, content)


def _write_nifti(array: np.ndarray, spacing: Sequence[float], path: Path) -> None:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(array.shape, spacing, strict=True)]
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    with whole_file(path) as unfinished:
        nibabel.save(image, unfinished)


def phantom_candidates(directory: str | os.PathLike, negatives_per_scan: int = 6, seed: int = 0) -> Path:
    """Write ``candidates.csv`` into a set of phantoms, and return its path: nodules, and other places in the lung.

    Each nodule has a candidate of class 1 in its middle, with the diameter of a ball of the same volume. Candidates of class 0
    lie at random places in the lung, 15 mm or more from the nodules. The columns are those of LUNA16, with coordinates in
    millimetres and LPS axes, and ``lesion`` and ``diameter_mm``.

    Args:
        directory: a folder from `make_phantoms`.
        negatives_per_scan: number of candidates of class 0 in each phantom.
        seed: random seed of the places.
    """
    directory = Path(directory)
    phantoms = json.loads((directory / DATALIST).read_text())["training"]
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
    numbered, count = ndimage.label(labels == NODULE_LABEL)
    rows = []
    for number in range(1, count + 1):
        voxels = np.argwhere(numbered == number)
        diameter = np.cbrt(6 * len(voxels) * np.prod(spacing) / np.pi).round(3)
        nodule = {"lesion": f"{name}_{number}", "diameter_mm": float(diameter)}
        rows.append(_row(name, voxels.mean(axis=0), affine, 1) | nodule)
    free = labels == LUNG_LABEL
    if count:
        free &= ndimage.distance_transform_edt(labels != NODULE_LABEL, sampling=spacing) >= SMALLEST_DISTANCE
    places = np.argwhere(free)
    chosen = rng.choice(len(places), size=min(negatives, len(places)), replace=False)
    return rows + [_row(name, places[place], affine, 0) for place in chosen]


def _row(scan: str, voxel: np.ndarray, affine: np.ndarray, label: int) -> dict[str, Any]:
    x, y, z = nibabel.affines.apply_affine(affine, voxel)
    return {"seriesuid": scan, "coordX": round(-x, 3), "coordY": round(-y, 3), "coordZ": round(z, 3), "class": label}


def scans_or_phantoms(
    dataset_dir: str | os.PathLike | None, phantom_dir: str, count: int = 10, seed: int = 0, labelled: bool = False
) -> str:
    """The path of the user's scans or, if there is none, of phantoms.

    Args:
        dataset_dir: the user's folder or datalist, which is returned unchanged; None for phantoms.
        phantom_dir: folder of the phantoms, which are made if they do not exist.
        count: number of phantoms.
        seed: random seed of their shapes.
        labelled: whether to return the folder of the phantoms with labels, instead of the folder of their images.
    """
    if dataset_dir is not None:
        return str(dataset_dir)
    logger.info("No dataset_dir was given: %d phantoms (synthetic chest CTs) in %s are used.", count, phantom_dir)
    phantoms = make_phantoms(phantom_dir, count=count, seed=seed)
    return str(phantoms if labelled else phantoms / "images")


def classification_source(
    dataset_dir: str | os.PathLike | None,
    candidates_file: str | os.PathLike | None,
    phantom_dir: str,
    count: int = 10,
    seed: int = 0,
) -> dict[str, str | None]:
    """``dataset_dir`` and ``candidates_file`` of the user or, if there are no scans, of phantoms.

    Args:
        dataset_dir: the user's folder or datalist; None for phantoms.
        candidates_file: the user's candidates; None for a class per image.
        phantom_dir: see `scans_or_phantoms`.
        count: number of phantoms.
        seed: random seed of their shapes and candidates.

    Raises:
        ValueError: there are candidates without scans.
    """
    if dataset_dir is None:
        if candidates_file is not None:
            raise ValueError(f"{candidates_file}: candidates need their scans. Set dataset_dir.")
        dataset_dir = scans_or_phantoms(None, phantom_dir, count, seed)
        candidates_file = phantom_candidates(phantom_dir, seed=seed)
    return {
        "dataset_dir": str(dataset_dir),
        "candidates_file": None if candidates_file is None else str(candidates_file),
    }
