"""The user's scans, or phantoms for those who have none yet."""

from __future__ import annotations

import logging
import os

from models_genesis_bundle.data.phantom import make_phantoms

__all__ = ["scans_or_phantoms"]

logger = logging.getLogger(__name__)


def scans_or_phantoms(
    dataset_dir: str | os.PathLike | None, phantom_dir: str, count: int = 10, seed: int = 0, labelled: bool = False
) -> str:
    """The folder, or datalist, of the scans.

    Args:
        dataset_dir: the user's; returned as it is.
        phantom_dir: where phantoms are made when ``dataset_dir`` is None; made only once.
        count: how many phantoms.
        seed: start of their random shapes.
        labelled: whether the labels are wanted, too: the folder of the phantoms' ``dataset.json`` in place of that of
            their images.
    """
    if dataset_dir is not None:
        return str(dataset_dir)
    logger.info("No dataset_dir was given: %d phantoms (synthetic chest CTs) in %s are used.", count, phantom_dir)
    phantoms = make_phantoms(phantom_dir, count=count, seed=seed)
    return str(phantoms if labelled else phantoms / "images")
