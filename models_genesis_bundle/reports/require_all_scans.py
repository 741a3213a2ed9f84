"""The end of an inference in which scans could not be used."""

from __future__ import annotations

import os
from collections.abc import Mapping

from models_genesis_bundle.data.sampling.readable_scans import SkippedScansError, skipped_text

__all__ = ["require_all_scans"]


def require_all_scans(skipped: Mapping[str, str], used: int, output_dir: str | os.PathLike) -> None:
    """End an inference with an error if scans have no results, so that its exit status shows it.

    Args:
        skipped: the reasons by the scans' paths.
        used: number of the other scans.
        output_dir: folder of the results.

    Raises:
        SkippedScansError: there are skipped scans; the message names each, with its reason.
    """
    if skipped:
        others = f"\nThe results of the other {used} are in {output_dir}." if used else ""
        raise SkippedScansError(skipped_text(skipped, len(skipped) + used) + others)
