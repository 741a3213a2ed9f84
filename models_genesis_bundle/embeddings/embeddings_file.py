"""The vectors of scans, cubes or points with their names and places: as a file, and as a run writes them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.embeddings.cube_vectors import STATISTICS
from models_genesis_bundle.files import file_sha256, whole_file
from models_genesis_bundle.reports import ScanResults
from monai.utils import convert_to_numpy
from monai.utils.enums import CommonKeys

__all__ = ["Embeddings", "EmbeddingsError", "ScanVectors"]

logger = logging.getLogger(__name__)

_ARRAYS = ("vectors", "statistics", "case", "image", "patient", "point", "voxel")
_ENDING = "vectors.npz"


class EmbeddingsError(ValueError):
    """A file of embeddings that cannot be used; the message names it, what is wrong and what to do."""


@dataclass(frozen=True)
class Embeddings:
    """The vectors of n cubes, or scans, of D numbers each.

    Attributes:
        vectors: (n, D) float32.
        statistics: (n, 9) of the same cubes' intensities, see ``STATISTICS``.
        case: (n,) a name for each: its scan's, with the point in millimetres where a scan has several.
        image: (n,) paths of the scans.
        patient: (n,) names.
        point: (n, axes) the middle of each cube in LPS millimetres, as in LUNA16's lists.
        voxel: (n, axes) the same in voxels of the file.
        perturbed: ``vectors_<kind>`` and ``statistics_<kind>`` of the changed cubes, for each kind of perturbation.
        record: plain values: weights, stage, pooling, preprocessing.
    """

    vectors: np.ndarray
    statistics: np.ndarray
    case: np.ndarray
    image: np.ndarray
    patient: np.ndarray
    point: np.ndarray
    voxel: np.ndarray
    perturbed: Mapping[str, np.ndarray] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.case)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> Embeddings:
        """The embeddings of such ``arrays`` as the property of this name has."""
        perturbed = {name: array for name, array in arrays.items() if name not in _ARRAYS}
        return cls(**{name: arrays[name] for name in _ARRAYS}, perturbed=perturbed, record=record)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name; each has a row for each vector."""
        return {name: getattr(self, name) for name in _ARRAYS} | dict(self.perturbed)

    @property
    def kinds(self) -> list[str]:
        """The kinds of perturbation."""
        return [name.removeprefix("vectors_") for name in self.perturbed if name.startswith("vectors_")]

    def index(self) -> pd.DataFrame:
        """A row for each vector: case, image, patient, the position in millimetres and voxels, the statistics."""
        axes = range(self.point.shape[1])
        return pd.DataFrame(
            {
                "case": self.case,
                "image": self.image,
                "patient": self.patient,
                **{f"coord{'XYZ'[axis]}": self.point[:, axis] for axis in axes},
                **{f"voxel{'XYZ'[axis]}": self.voxel[:, axis] for axis in axes},
                **{name: self.statistics[:, number] for number, name in enumerate(STATISTICS)},
            }
        )

    def table(self) -> pd.DataFrame:
        """The index and the vectors, in columns ``0`` … ``D - 1``: ready for ``to_parquet``."""
        return pd.concat([self.index(), pd.DataFrame(self.vectors).rename(columns=str)], axis=1)

    def write(self, path: str | os.PathLike, index: bool = True) -> Path:
        """Write an ``.npz`` that NumPy reads without pickle, and next to it the index as CSV; each whole or not at all."""
        content: dict[str, Any] = {**self.arrays, "record": np.array(json.dumps(self.record))}
        with whole_file(path) as unfinished:
            np.savez_compressed(unfinished, **content)
        if index:
            with whole_file(Path(path).with_suffix(".csv")) as unfinished:
                self.index().to_csv(unfinished, index=False, float_format="%.8g")
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Embeddings:
        """Read a file of ``write``; an ``EmbeddingsError`` for a missing file or another one."""
        try:
            with np.load(path) as file:
                content = dict(file)
            return cls.of(content, json.loads(str(content.pop("record"))))
        except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise EmbeddingsError(
                f"{path}: no file of embeddings ({type(error).__name__}: {error}). Give the embeddings.npz that a run of "
                "configs/embed.yaml wrote."
            ) from error


class ScanVectors(ScanResults):
    """Write the vectors of each scan, leave out scans that have theirs, and join all to one file.

    The scan ``a/ct.nii.gz`` leaves ``a/ct_vectors.npz``. List the object among the handlers of a `ScanEvaluator` whose inferer
    is `CubeVectors`, and call `join` after it.

    Args:
        scans: see `embedded_scans`.
        dataset_dir: the folder of the scans, see `result_names`.
        output_dir: receives the results: a file for each scan, ``embeddings.npz`` and ``embeddings.csv``.
        ckpt_path: the weight file, whose name and SHA-256 are recorded.
        record: plain values that describe the vectors; ``places``: as in `CubePlacesd`.

    Raises:
        ValueError: two scans would have the same results, or scans lie in the output folder.
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
        """Write ``embeddings.npz`` and ``embeddings.csv`` of all scans that have their vectors; None when none has."""
        names = [scan["result"] for scan in self.scans if self.is_written(scan["result"])]
        if not names:
            return None
        parts = [Embeddings.read(self.path(name, _ENDING)) for name in names]
        arrays = {key: np.concatenate([part.arrays[key] for part in parts]) for key in parts[0].arrays}
        every = Embeddings.of(arrays, parts[0].record)
        path = every.write(self.output_dir / "embeddings.npz")
        logger.info("%d vectors of %d numbers, of %d scans: %s", len(every), every.vectors.shape[1], len(parts), path)
        return path
