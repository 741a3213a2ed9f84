"""Labelled cubes: around candidate points, or from the middle of images."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import PathLike
from torch.utils.data import Dataset

from models_genesis_bundle.data.datalists.label_fraction import take_fraction
from models_genesis_bundle.data.datalists.patient_hashes import patient_hashes
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.volumes.cube_store import CubeStore

__all__ = ["CandidateCubes"]

logger = logging.getLogger(__name__)


class CandidateCubes(Dataset):
    """Dataset of one cube for each item of a list, cut once into a cube store.

    An item with a ``point`` gives the cube around it, one without gives the middle of its image, cropped or padded.
    The store holds the cubes alone and always those of the whole list, so that classes, the label fraction and
    everything else may change without cutting again.

    Items of scans that cannot be read are left out, named and counted.

    Args:
        items: ``{"image": path, "patient": name, "label": class}``, with ``"point"``: (x, y, z) in millimetres and LPS
            axes where cubes lie around points; see `classification_datalist`. ``label`` may be missing for inference.
        directory: the store's folder, as for `CubeStore.open_or_cut`; cubes of one item after the other of a scan, the
            scans in the order of the list.
        preprocessing: steps from the file to the scaled scan.
        cube_size: sides of a cube in voxels; two take axial slices out of volumes.
        label_fraction: share of the patients whose cubes are used, in (0, 1], each class at least once; see
            `take_fraction`.
        label_fraction_seed: which patients these are.
        also: further entries that every cube carries, such as ``diameter_mm``: NaN for an item that lacks it.
        num_workers: processes that cut.
        on_unreadable: ``"skip"`` leaves the items of unreadable scans out, ``"raise"`` stops at the first.

    Shape:
        ``cubes[i]``: ``image``, a float32 array (1, X, Y, Z); ``source``, the path of its scan; ``patient``; ``case``,
        which is the path, or the scan's name with the point; ``label``, ``scan`` and ``lesion`` where the items have
        them; with points ``point``, a float64 array of 3; and what ``also`` names.

    Raises:
        ValueError: no items, items of which only some have a point or a label, an unreadable scan with ``"raise"``, a
            point outside of its scan.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        directory: PathLike,
        preprocessing: ScanPreprocessing,
        cube_size: Sequence[int],
        label_fraction: float = 1.0,
        label_fraction_seed: int = 0,
        also: Sequence[str] = (),
        num_workers: int = 2,
        on_unreadable: str = "skip",
    ) -> None:
        if not items:
            raise ValueError("CandidateCubes: there are no items; the list of this section of the data is empty.")
        for key in ("point", "label"):
            having = sum(key in item for item in items)
            if having not in (0, len(items)):
                raise ValueError(
                    f"CandidateCubes: {having} of {len(items)} items have a {key!r}, expected all or none."
                )
        by_scan: dict[str, list[Mapping[str, Any]]] = {}
        for item in items:
            by_scan.setdefault(os.path.abspath(item["image"]), []).append(item)
        twice = [image for image, own in by_scan.items() if len(own) > 1 and "point" not in own[0]]
        if twice:
            raise ValueError(f"CandidateCubes: {twice[0]} is listed {len(by_scan[twice[0]])} times without a point.")
        scans = [
            {
                "image": image,
                "patient": own[0]["patient"],
                "points": [item["point"] for item in own] if "point" in own[0] else None,
            }
            for image, own in by_scan.items()
        ]
        self.also = tuple(also)
        self.store = CubeStore.open_or_cut(
            directory, scans, preprocessing, cube_size, num_workers=num_workers, on_unreadable=on_unreadable
        )
        unreadable = self.store.summary.skipped
        found = [item for image, own in by_scan.items() if image not in unreadable for item in own]
        if len(found) < len(items):
            logger.warning("%d of %d items are left out with their scans.", len(items) - len(found), len(items))
        self.items = found
        self._cubes = np.arange(len(found))
        if label_fraction != 1:
            self.items = take_fraction(found, label_fraction, label_fraction_seed, stratify_key="label")
            kept = {id(item) for item in self.items}
            self._cubes = np.flatnonzero([id(item) in kept for item in found])
            logger.info("label_fraction=%g keeps %d of %d items", label_fraction, len(self.items), len(found))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.items[index]
        cube = self.store[self._cubes[index]]
        labelled: dict[str, Any] = {
            "case": cube["source"],
            **{key: item[key] for key in ("label", "scan", "lesion") if key in item},
        }
        if "point" in item:
            labelled["point"] = np.asarray(item["point"], dtype=np.float64)
            labelled["case"] = f"{item['scan']} ({' '.join(f'{value:g}' for value in item['point'])})"
        further: dict[str, Any] = {key: item.get(key, np.nan) for key in self.also}
        return {"image": cube["image"], "source": cube["source"], "patient": item["patient"], **labelled, **further}

    @property
    def labels(self) -> list[int]:
        """Class of each cube."""
        return [item["label"] for item in self.items]

    def record(self) -> dict[str, Any]:
        """Plain values about the data, for checkpoints: those of the store, and the number of cubes of each class."""
        patients = sorted({item["patient"] for item in self.items})
        return {
            **self.store.record(),
            "scans": len({item["image"] for item in self.items}),
            "patients": len(patients),
            "patient_hashes": patient_hashes(patients),
            "cubes": len(self),
            "classes": {str(label): count for label, count in sorted(Counter(self.labels).items())},
        }
