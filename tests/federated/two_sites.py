"""Two sites with different numbers of scans, and settings with which a round takes seconds."""

from __future__ import annotations

from pathlib import Path

from models_genesis_bundle.data import make_phantoms

SMALL = {
    "network_def::features": [4, 8],
    "cube_size": [32, 32, 16],
    "cubes_per_scan": 2,
    "batch_size": 2,
    "precision": "float32",
    "learning_rate": 0.1,
    "num_workers": 0,
    "volumes::num_workers": 0,
    "panels::num_cubes": 2,
}
SCANS = {"site-1": 3, "site-2": 5}


def make_scans(folder: Path, site: str) -> Path:
    """Write the site's scans; the images lie in ``images`` below the folder that is returned."""
    size, spacing = (48, 48, 32), (7.0, 7.0, 9.0)
    return Path(make_phantoms(folder, count=SCANS[site], size=size, spacing=spacing, seed=int(site[-1])))
