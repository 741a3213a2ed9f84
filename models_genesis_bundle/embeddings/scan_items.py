"""The scans whose cubes are embedded."""

from __future__ import annotations

from typing import Any

from models_genesis_bundle.data.datalists.candidates import join_candidates, read_candidates
from models_genesis_bundle.data.datalists.pretraining import list_scans
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, Channels, channel_count
from monai.config import PathLike

__all__ = ["embedded_scans"]


def embedded_scans(
    dataset_dir: PathLike,
    candidates_file: PathLike | None = None,
    patient_regex: str | None = None,
    spatial_dims: int = 3,
    channels: Channels = 1,
) -> list[dict[str, Any]]:
    """List scans, with the candidate points of each where a file names them.

    Args:
        dataset_dir: a scan, a folder of scans, or a JSON datalist.
        candidates_file: CSV of candidate points, see `read_candidates`; its classes are not looked at. Scans without a
            point are left out.
        patient_regex: see `list_scans`.
        spatial_dims: with 2, PNG, JPEG and single DICOM files count.
        channels: how many channels the network sees, or their names, see `segmentation_datalist`; for a network that sees
            one, each file of a scan of several is a scan of its own.

    Returns:
        ``{"image": path, "patient": name}``, with ``points``, a list of different (x, y, z) in LPS millimetres, where there is
        a `candidates_file`.

    Raises:
        FileNotFoundError: no such folder or file, or no scan in it.
        DatalistError: candidates that belong to none of the scans, or cannot be understood.
    """
    grouped = None if channel_count(channels) == 1 else channels
    scans: list[dict[str, Any]] = list_scans(dataset_dir, patient_regex, spatial_dims=spatial_dims, channels=grouped)
    if candidates_file is None:
        return scans
    with_points: dict[str, dict[str, Any]] = {}
    for item in join_candidates(read_candidates(candidates_file, labelled=False), scans, candidates_file):
        kept = {key: item[key] for key in ("image", "patient", CHANNEL_FILES) if key in item}
        scan = with_points.setdefault(item["image"], {**kept, "points": []})
        if item["point"] not in scan["points"]:
            scan["points"].append(item["point"])
    return list(with_points.values())
