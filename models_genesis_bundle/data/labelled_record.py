"""What a fine-tuned network's weight file says of the labelled scans that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.patient_hashes import patient_hashes

__all__ = ["labelled_record"]


def labelled_record(scans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plain values about labelled scans: how many, of how many patients, and these patients' hashes.

    Args:
        scans: a list of `segmentation_datalist`; each entry has ``patient``.
    """
    hashes = patient_hashes(scan["patient"] for scan in scans)
    return {"scans": len(scans), "patients": len(hashes), "patient_hashes": hashes}
