"""The user's scans or candidates, or phantoms if there are none."""

from __future__ import annotations

import logging
import os

from models_genesis_bundle.phantoms.phantom_set import make_phantoms, phantom_candidates

__all__ = ["classification_source", "scans_or_phantoms"]

logger = logging.getLogger(__name__)


def scans_or_phantoms(
    dataset_dir: str | os.PathLike | None, phantom_dir: str, count: int = 10, seed: int = 0, labelled: bool = False
) -> str:
    """The folder, or datalist, of the scans.

    Args:
        dataset_dir: the user's; returned unchanged.
        phantom_dir: where phantoms are made when ``dataset_dir`` is None; made only once.
        count: number of phantoms.
        seed: start of their random shapes.
        labelled: True: return the folder of the phantoms' ``dataset.json``, with labels, instead of the folder of their
            images.
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
    """The scans and their candidates.

    Args:
        dataset_dir: the user's; returned unchanged, with ``candidates_file``.
        candidates_file: the user's, or None for a class per image.
        phantom_dir: where phantoms are made when ``dataset_dir`` is None, with candidates at their nodules and
            elsewhere in the lung.
        count: number of phantoms.
        seed: start of their random shapes and candidates.

    Returns:
        ``dataset_dir`` and ``candidates_file``.

    Raises:
        ValueError: candidates without scans.
    """
    if dataset_dir is not None:
        return {
            "dataset_dir": str(dataset_dir),
            "candidates_file": None if candidates_file is None else str(candidates_file),
        }
    if candidates_file is not None:
        raise ValueError(f"{candidates_file}: candidates need their scans; give dataset_dir as well.")
    logger.info("No dataset_dir was given: candidates in %d phantoms (synthetic chest CTs) in %s.", count, phantom_dir)
    phantoms = make_phantoms(phantom_dir, count=count, seed=seed)
    return {"dataset_dir": str(phantoms / "images"), "candidates_file": str(phantom_candidates(phantoms, seed=seed))}
