"""A folder of DICOM slices as one volume, each slice at the place that its own header gives."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.dicom_image import DicomImage
from models_genesis_bundle.data.scans.dicom_slices import DicomSlice, in_space, lps_affine
from models_genesis_bundle.data.scans.files import is_dicom_file
from models_genesis_bundle.data.scans.raw_scan import LPS_TO_RAS, RawScan, require_shape
from models_genesis_bundle.data.scans.scan_compose import ScanError
from models_genesis_bundle.messages import first_of

__all__ = ["read_dicom_series"]

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 10
_GRID_TOLERANCE = 1e-3
_CONVERT = "Convert the series to NIfTI, with dcm2niix for example."


def read_dicom_series(folder: Path, volume: int | None = None) -> RawScan:
    """Read the series with the most images directly in a folder, each slice with its own rescale slope and intercept.

    Voxel ``(0, 0, k)`` lies at the ImagePositionPatient of slice k. If there are several images at each place (time points,
    echoes), `volume` is the one to take, from 0 in the order of their InstanceNumber.
    """
    images, unread = _images(folder)
    images = _largest_series(folder, [image for image in images if "LOCALIZER" not in image.image_type] or images)
    require_shape(folder, (*images[0].size, len(images)))
    slices = in_space(folder, _slices(folder, images), volume)
    affine = lps_affine(folder, slices, unread)
    if unread:
        logger.warning("%s: not an image, or not readable, and left out: %s", folder, first_of(unread, _NAMED_AT_MOST))
    columns, rows = images[0].size
    values = np.empty((len(slices), rows, columns), dtype=np.float32)
    for place, one in zip(values, slices, strict=True):
        place[...] = one.image.pixels()
    return RawScan(values.T, LPS_TO_RAS @ affine, images[0].text("Modality"))


def _images(folder: Path) -> tuple[list[DicomImage], list[str]]:
    """The headers of all images, and the names of the other DICOM files."""
    images, unread = [], []
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not is_dicom_file(file):
            continue
        try:
            images.append(DicomImage.open(file))
        except RuntimeError:
            unread.append(file.name)
    if not images:
        found = f"none of its DICOM files is a readable image: {first_of(unread, _NAMED_AT_MOST)}."
        found = found if unread else "the folder holds no DICOM series."
        raise ScanError(folder, found, "Give a folder with the slices of a scan, or leave it out.", "no_image")
    return images, unread


def _largest_series(folder: Path, images: Sequence[DicomImage]) -> list[DicomImage]:
    """The series with the most images, each image once."""
    by_uid: dict[str, dict[tuple, DicomImage]] = defaultdict(dict)
    copies = []
    for image in images:
        series = by_uid[image.text("SeriesInstanceUID")]
        instance = (image.text("SOPInstanceUID") or image.name, image.text("ImagePositionPatient"))
        if instance in series:
            copies.append(image.name)
        else:
            series[instance] = image
    largest = list(max(by_uid.values(), key=len).values())
    if len(by_uid) > 1:
        message = (
            "%s holds %d DICOM series; the one with the most slices (%d) is read. Give each series a folder of its own to use "
            "them all."
        )
        logger.warning(message, folder, len(by_uid), len(largest))
    if copies:
        message = "%s: copies of other files, with the same SOPInstanceUID, and left out: %s"
        logger.warning(message, folder, first_of(copies, _NAMED_AT_MOST))
    return largest


def _slices(folder: Path, images: Sequence[DicomImage]) -> list[DicomSlice]:
    """The images with their geometry; refuses images that are not slices of one volume."""
    for image in images:
        if "LOCALIZER" in image.image_type:
            found = f"it holds only localisers (ImageType of {image.name} has LOCALIZER)."
            raise ScanError(folder, found, "Leave it out.", "localiser")
        if image.count("NumberOfFrames") > 1:
            found = f"{image.name} holds {image.count('NumberOfFrames')} frames (enhanced multi-frame DICOM)."
            raise ScanError(folder, found, _CONVERT, "multi_frame")
        if "MOSAIC" in image.image_type:
            found = f"{image.name} shows many slices side by side (Siemens mosaic)."
            raise ScanError(folder, found, _CONVERT, "mosaic")
        if image.count("SamplesPerPixel") > 1:
            remedy = "Give the series that the colours were made from, or leave it out."
            raise ScanError(folder, f"{image.name} holds colours.", remedy, "colour")
    slices = [DicomSlice.of(image, folder) for image in images]
    for one in slices:
        _require_same_grid(folder, slices[0], one)
    return slices


def _require_same_grid(folder: Path, first: DicomSlice, other: DicomSlice) -> None:
    for what, wanted, found, tolerance in (
        ("size", first.image.size, other.image.size, 0),
        ("PixelSpacing", first.spacing, other.spacing, _GRID_TOLERANCE),
        ("ImageOrientationPatient", first.axes[:2], other.axes[:2], _GRID_TOLERANCE),
    ):
        if not np.allclose(wanted, found, rtol=tolerance, atol=tolerance):
            one, two = (np.round(np.ravel(values), 4).tolist() for values in (wanted, found))
            raise ScanError(
                folder,
                f"its images differ in {what}: {one} in {first.name}, {two} in {other.name}.",
                "Give the images of each volume a folder of their own.",
                "mixed_images",
            )
