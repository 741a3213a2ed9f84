"""The user's scans, or phantoms for those who have none yet."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from models_genesis_bundle.data.phantom import make_phantoms

__all__ = ["scans_or_phantoms"]

logger = logging.getLogger(__name__)


def scans_or_phantoms(dataset_dir: str | os.PathLike | None, phantom_dir: str, count: int = 10, seed: int = 0) -> str:
    """The folder, or datalist, of the scans.

    Args:
        dataset_dir: the user's; returned as it is.
        phantom_dir: where phantoms are made when ``dataset_dir`` is None; made only once.
        count: how many phantoms.
        seed: start of their random shapes.
    """
    if dataset_dir is not None:
        return str(dataset_dir)
    logger.info("No dataset_dir was given: training on %d phantoms (synthetic chest CTs) in %s.", count, phantom_dir)
    return str(Path(make_phantoms(phantom_dir, count=count, seed=seed)) / "images")
