"""Vectors of cubes with the names and places of the cubes, in one file."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.embeddings.cube_vectors import PERTURBATIONS, STATISTICS
from models_genesis_bundle.files import whole_file

__all__ = ["Embeddings", "EmbeddingsError"]

_ARRAYS = ("vectors", "statistics", "case", "image", "patient", "point", "voxel")


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
        perturbed: by kind of perturbation, the vectors and statistics of the changed cubes.
        record: plain values: weights, stage, pooling, preprocessing.
    """

    vectors: np.ndarray
    statistics: np.ndarray
    case: np.ndarray
    image: np.ndarray
    patient: np.ndarray
    point: np.ndarray
    voxel: np.ndarray
    perturbed: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.case)

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
        vectors = pd.DataFrame(self.vectors, columns=[str(number) for number in range(self.vectors.shape[1])])
        return pd.concat([self.index(), vectors], axis=1)

    def write(self, path: str | os.PathLike, index: bool = True) -> Path:
        """Write an ``.npz`` that NumPy reads without pickle, and next to it the index as CSV; each whole or not at all."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["record"] = np.array(json.dumps(self.record))
        for kind, (vectors, statistics) in self.perturbed.items():
            arrays |= {f"vectors_{kind}": vectors, f"statistics_{kind}": statistics}
        with whole_file(path) as unfinished:
            np.savez_compressed(unfinished, **arrays)
        if index:
            with whole_file(Path(path).with_suffix(".csv")) as unfinished:
                self.index().to_csv(unfinished, index=False, float_format="%.8g")
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Embeddings:
        """Read a file of ``write``; an ``EmbeddingsError`` for a missing file or another one."""
        try:
            with np.load(path) as file:
                content = {name: file[name] for name in file.files}
            kinds = [kind for kind in PERTURBATIONS if f"vectors_{kind}" in content]
            return cls(
                **{name: content[name] for name in _ARRAYS},
                perturbed={kind: (content[f"vectors_{kind}"], content[f"statistics_{kind}"]) for kind in kinds},
                record=json.loads(str(content["record"])),
            )
        except (AttributeError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise EmbeddingsError(
                f"{path}: no file of embeddings ({type(error).__name__}: {error}). Give the embeddings.npz that a run of "
                "configs/embed.yaml wrote."
            ) from error

    @classmethod
    def joined(cls, parts: list[Embeddings]) -> Embeddings:
        """The vectors of several scans, one after the other, with the record of the first."""

        def whole(kind: str, place: int) -> np.ndarray:
            return np.concatenate([part.perturbed[kind][place] for part in parts])

        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS},
            perturbed={kind: (whole(kind, 0), whole(kind, 1)) for kind in parts[0].perturbed},
            record=parts[0].record,
        )

    def at(self, rows: np.ndarray) -> Embeddings:
        """The vectors at some rows, in their order."""
        pairs = {kind: (pair[0][rows], pair[1][rows]) for kind, pair in self.perturbed.items()}
        return replace(self, **{name: getattr(self, name)[rows] for name in _ARRAYS}, perturbed=pairs)
