"""Scans that show only an organ, which no rule excludes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np


def organ(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(50, 20, shape)


def write_nifti(path: Path, array: np.ndarray) -> dict[str, str]:
    """Write a scan with voxels of 1 mm, and return its item."""
    nibabel.save(nibabel.Nifti1Image(np.asarray(array, dtype=np.float32), np.eye(4)), path)
    return {"image": str(path), "patient": path.name.split(".")[0]}
