"""The vectors of scans: a file for each, computed once, and one file with all."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.embeddings.cube_vectors import PERTURBATIONS
from models_genesis_bundle.embeddings.embeddings_file import Embeddings
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.reports import ScanResults
from monai.utils import convert_to_numpy
from monai.utils.enums import CommonKeys

__all__ = ["ScanVectors"]

logger = logging.getLogger(__name__)

_ENDING = "vectors.npz"


class ScanVectors(ScanResults):
    """Write the vectors of each scan, leave out scans that have theirs, and join all to one file.

    The scan ``a/ct.nii.gz`` leaves ``a/ct_vectors.npz``. List the object among the handlers of a `ScanEvaluator` whose inferer
    is `CubeVectors`, and call `join` after it.

    Args:
        scans: see `embedded_scans`.
        dataset_dir: the folder of the scans, see `result_names`.
        output_dir: receives the results: a file for each scan, ``embeddings.npz`` and ``embeddings.csv``.
        ckpt_path: the weight file.
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
        self.how = dict(record)

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
        found = {name: convert_to_numpy(value) for name, value in case[CommonKeys.PRED].items()}
        point, voxel = (convert_to_numpy(case[name]).astype(float) for name in ("point", "voxel"))
        name, count = case["result"], len(point)
        several = self.how["places"] in ("grid", "points")
        places = [f" ({' '.join(f'{value:.7g}' for value in one)})" if several else "" for one in point]
        Embeddings(
            vectors=found["vectors"],
            statistics=found["statistics"],
            case=np.array([f"{name}{place}" for place in places]),
            image=np.full(count, self.entries[name]["image"]),
            patient=np.full(count, str(case["patient"])),
            point=point,
            voxel=voxel,
            perturbed={
                kind: (found[f"vectors_{kind}"], found[f"statistics_{kind}"])
                for kind in PERTURBATIONS
                if f"vectors_{kind}" in found
            },
            record=self.record_of_vectors,
        ).write(self.path(name, _ENDING), index=False)

    @cached_property
    def record_of_vectors(self) -> dict[str, Any]:
        """The given record, with the name and the SHA-256 of the weight file."""
        weights = {"file": Path(self.ckpt_path).name, "sha256": file_sha256(self.ckpt_path)}
        return {"weights": weights, **self.how}

    def join(self) -> Path | None:
        """Write ``embeddings.npz`` and ``embeddings.csv`` of all scans that have their vectors; None when none has."""
        files = [self.path(scan["result"], _ENDING) for scan in self.scans if self.is_written(scan["result"])]
        if not files:
            return None
        every = Embeddings.joined([Embeddings.read(file) for file in files])
        path = every.write(self.output_dir / "embeddings.npz")
        logger.info("%d vectors of %d numbers, of %d scans: %s", len(every), every.vectors.shape[1], len(files), path)
        return path
