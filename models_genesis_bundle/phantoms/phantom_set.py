"""Sets of phantoms: synthetic chest CTs with labels, for a first run and for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from filelock import FileLock
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.phantoms.anatomy import draw_chest
from tqdm import tqdm

__all__ = ["make_phantoms"]

DATALIST = "dataset.json"
FORMAT_VERSION = 2


def make_phantoms(
    directory: str | os.PathLike,
    count: int = 8,
    size: Sequence[int] = (160, 160, 128),
    spacing: Sequence[float] = (2.0, 2.0, 2.5),
    seed: int = 0,
) -> Path:
    """Make a set of phantoms, or reuse an existing one.

    A phantom is a chest CT drawn from shapes: body wall with fat, muscle and ribs, lungs with vessel trees and bronchi, heart
    and great vessels, spine, sternum, liver and stomach, one to five nodules, a scanner's blur and noise. It depends on
    ``seed`` and its number only. The files are ``images/phantom_000.nii.gz`` (int16 HU), ``labels/phantom_000.nii.gz``
    (0 background, 1 lung, 2 nodule) and an MSD-style ``dataset.json``. Sets of other seeds have other phantoms with other names:
    with ``seed=7`` the first is ``phantom_7_000``. An unfinished set is completed; processes that make the same set at the
    same time wait for each other.

    Args:
        directory: receives the set.
        count: number of phantoms, at least 1.
        size: voxels along X (right), Y (front), Z (head).
        spacing: sides of a voxel in millimetres; the whole chest needs 320 mm along each axis.
        seed: start of the random shapes.

    Returns:
        The directory.

    Raises:
        ValueError: for a count, size or spacing out of range.
        FileExistsError: when the directory has other files, or phantoms of other settings.

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
        _require_own_directory(directory, settings)
        _write_datalist(directory, settings, count)
        files = [f"{_name(seed, index)}.nii.gz" for index in range(count)]
        missing = [index for index, file in enumerate(files) if not (directory / "labels" / file).exists()]
        for index in tqdm(missing, desc="Making phantoms", unit="phantom", disable=not missing):
            hu, labels = draw_chest(size, spacing, np.random.default_rng((seed, index)))
            _write_nifti(hu, spacing, directory / "images" / files[index])
            _write_nifti(labels, spacing, directory / "labels" / files[index])
    return directory


def _name(seed: int, index: int) -> str:
    return f"phantom_{seed}_{index:03d}" if seed else f"phantom_{index:03d}"


def _require_own_directory(directory: Path, settings: dict) -> None:
    datalist = directory / DATALIST
    if datalist.exists():
        found = json.loads(datalist.read_text()).get("phantom_settings")
        if found != settings:
            raise FileExistsError(
                f"{directory}: holds phantoms of other settings ({found} instead of {settings}). "
                "Remove the folder, or name another one."
            )
    elif any(path.name != ".lock" for path in directory.iterdir()):
        raise FileExistsError(f"{directory}: holds files that are no phantoms; name an empty folder, or a new one.")


def _write_datalist(directory: Path, settings: dict, count: int) -> None:
    datalist = directory / DATALIST
    if datalist.exists():
        count = max(count, len(json.loads(datalist.read_text())["training"]))
    names = [_name(settings["seed"], index) for index in range(count)]
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
    write_json(datalist, content)


def _write_nifti(array: np.ndarray, spacing: Sequence[float], path: Path) -> None:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(array.shape, spacing, strict=True)]
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    with whole_file(path) as unfinished:
        nibabel.save(image, unfinished)
