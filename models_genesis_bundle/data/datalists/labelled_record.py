"""What a fine-tuned network's weight file says of the labelled scans that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.data.datalists.patients import patient_hashes
from models_genesis_bundle.data.scans.files import scan_stem

__all__ = ["labelled_record"]


def labelled_record(scans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plain values about labelled scans: how many, of how many patients, and these patients' hashes.

    Args:
        scans: a list of `segmentation_datalist`. An entry without ``patient``, as MONAI Label gives it, counts as a patient of
            its image's name.
    """
    hashes = patient_hashes(scan.get("patient") or scan_stem(Path(scan["image"])) for scan in scans)
    return {"scans": len(scans), "patients": len(hashes), "patient_hashes": hashes}
