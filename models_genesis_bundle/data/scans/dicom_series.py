"""Reading DICOM: a folder of slices as one volume, or one flat image."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.files import is_dicom_file
from models_genesis_bundle.data.scans.itk_file import itk_image, itk_name, itk_scan
from models_genesis_bundle.data.scans.raw_scan import LPS_TO_RAS, RawScan, ScanError, require_shape
from models_genesis_bundle.messages import first_of

logger = logging.getLogger(__name__)

_TAGS = {
    "ImageType": "0008|0008",
    "SOPInstanceUID": "0008|0018",
    "Modality": "0008|0060",
    "ImagerPixelSpacing": "0018|1164",
    "SeriesInstanceUID": "0020|000e",
    "InstanceNumber": "0020|0013",
    "ImagePositionPatient": "0020|0032",
    "ImageOrientationPatient": "0020|0037",
    "SamplesPerPixel": "0028|0002",
    "PhotometricInterpretation": "0028|0004",
    "NumberOfFrames": "0028|0008",
    "Rows": "0028|0010",
    "Columns": "0028|0011",
    "PixelSpacing": "0028|0030",
    "RescaleIntercept": "0028|1052",
    "RescaleSlope": "0028|1053",
}
_NAMED_AT_MOST = 10
_GRID_TOLERANCE = 1e-3
_COSINE_TOLERANCE = 0.01
_SAME_PLACE = 0.01  # pixels
_LARGEST_SHIFT = 0.1  # mm, or this fraction of a smaller gap between slices
_LARGEST_TILT = 0.5  # degrees
_SMALLEST_SLIP = 0.1  # mm between the first and the last slice; less is a rounding error
_GAP_TOLERANCE = 0.1
_CONVERT = "Convert the series to NIfTI, with dcm2niix for example."
_RESAMPLE = "Resample it to a straight, even grid, as dcm2niix does while it converts to NIfTI, or leave it out."
_SEPARATE = "Put the images of each volume into a separate folder."
_EXPORT = "export the series again, or leave it out."


def read_dicom_series(folder: Path) -> RawScan:
    """Read the series with the most images in a folder; each slice is rescaled by its header.

    Voxel ``(0, 0, k)`` is at the ImagePositionPatient of slice k. If each place has several images (time points, echoes), these
    are the fourth axis, in the order of InstanceNumber.
    """
    images, unread = _images(folder)
    images = _largest_series(folder, [image for image in images if not image.is_localiser] or images)
    first = images[0]
    require_shape(folder, (*first.size, len(images)))
    for image in images:
        _require_slice(folder, image, first)
    places = _in_space(folder, images)
    affine = _lps_affine(folder, [place[0] for place in places], unread)
    if unread:
        logger.warning(
            "%s: skipped, because they are not readable images: %s", folder, first_of(unread, _NAMED_AT_MOST)
        )
    columns, rows = first.size
    values = np.empty((len(places[0]), len(places), rows, columns), dtype=np.float32)
    for number, place in enumerate(places):
        for volume, image in zip(values, place, strict=True):
            volume[number] = image.pixels()
    scan = values if len(values) > 1 else values[0]
    return RawScan(scan.T, LPS_TO_RAS @ affine, first.texts["Modality"])


def read_flat_dicom(file: Path) -> RawScan:
    """Read a DICOM file as a flat image ``(X, Y, 1)``; frames or colours are a further axis."""
    import itk

    header = _DicomImage(file)
    spacing = [header.numbers(keyword, 2) for keyword in ("PixelSpacing", "ImagerPixelSpacing")]
    if not any(values is not None and (values > 0).all() for values in spacing):
        logger.warning("%s: its header gives no PixelSpacing above 0; a pixel is assumed to be 1 mm.", file)
    image = itk.imread(itk_name(file), imageio=itk.GDCMImageIO.New())
    return itk_scan(image, header.texts["Modality"])


class _DicomImage:
    """A DICOM image: the texts of its header by DICOM keyword, and its geometry in LPS millimetres.

    ITK raises a `RuntimeError` if it cannot read the file, or if the file has no pixels.
    """

    def __init__(self, file: Path) -> None:
        import itk

        io = itk.GDCMImageIO.New(FileName=itk_name(file))
        io.ReadImageInformation()
        header = io.GetMetaDataDictionary()
        self.file, self.name = file, file.name
        self.texts = {keyword: header[tag].strip("\0 ") if header.HasKey(tag) else "" for keyword, tag in _TAGS.items()}
        self.kinds = self.texts["ImageType"].upper().split("\\")
        self.is_localiser = "LOCALIZER" in self.kinds
        self.is_inverted = self.texts["PhotometricInterpretation"] == "MONOCHROME1"
        self.size = (self.count("Columns"), self.count("Rows"))
        self.order = (self.count("InstanceNumber"), self.name)  # key to sort the images at one place

    def numbers(self, keyword: str, count: int) -> np.ndarray | None:
        """The `count` finite numbers of an element; None if the element is missing or different."""
        try:
            values = np.array([float(word) for word in self.texts[keyword].split("\\")])
        except ValueError:
            return None
        return values if values.shape == (count,) and np.isfinite(values).all() else None

    def count(self, keyword: str) -> int:
        """The whole number of an element; 1 if it is missing."""
        values = self.numbers(keyword, 1)
        return 1 if values is None else int(values[0])

    @cached_property
    def position(self) -> np.ndarray:
        """The centre of the first pixel (3,)."""
        position = self.numbers("ImagePositionPatient", 3)
        if position is None:
            raise self._invalid("ImagePositionPatient", "three numbers", "no_position")
        return position

    @cached_property
    def spacing(self) -> np.ndarray:
        """The distance of pixels along a row and along a column (2,)."""
        spacing = self.numbers("PixelSpacing", 2)
        if spacing is None or not (spacing > 0).all():
            raise self._invalid("PixelSpacing", "two numbers above 0", "no_spacing")
        return spacing[::-1]

    @cached_property
    def axes(self) -> np.ndarray:
        """Unit vectors along a row, along a column and along the normal (3, 3)."""
        cosines = self.numbers("ImageOrientationPatient", 6)
        row, column = np.zeros((2, 3)) if cosines is None else cosines.reshape(2, 3)
        if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=_COSINE_TOLERANCE):
            raise self._invalid("ImageOrientationPatient", "two unit vectors at right angles", "no_orientation")
        row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
        return np.stack([row, column, np.cross(row, column)])

    def _invalid(self, keyword: str, wanted: str, rule: str) -> ScanError:
        found = f"{keyword} in the header of {self.name} must be {wanted}, found {self.texts[keyword] or 'nothing'}."
        remedy = f"Without it the positions of the slices are unknown: {_EXPORT}"
        return ScanError(self.file.parent, found, remedy, rule)

    def pixels(self) -> np.ndarray:
        """Rescaled float32 ``(rows, columns)``; ITK inverts MONOCHROME1, and raises a `RuntimeError` for damaged pixels."""
        import itk

        return itk.array_from_image(itk_image(self.file, itk.GDCMImageIO.New(), itk.Image[itk.F, 2]))


def _images(folder: Path) -> tuple[list[_DicomImage], list[str]]:
    images, unread = [], []
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not is_dicom_file(file):
            continue
        try:
            images.append(_DicomImage(file))
        except RuntimeError:
            unread.append(file.name)
    if not images:
        found = f"none of its DICOM files is a readable image: {first_of(unread, _NAMED_AT_MOST)}."
        found = found if unread else "the folder contains no DICOM series."
        raise ScanError(folder, found, "Give a folder with the slices of a scan, or leave it out.", "no_image")
    return images, unread


def _largest_series(folder: Path, images: Sequence[_DicomImage]) -> list[_DicomImage]:
    by_uid: dict[str, dict[tuple, _DicomImage]] = defaultdict(dict)
    copies = []
    for image in images:
        series = by_uid[image.texts["SeriesInstanceUID"]]
        instance = (image.texts["SOPInstanceUID"] or image.name, image.texts["ImagePositionPatient"])
        if instance in series:
            copies.append(image.name)
        series.setdefault(instance, image)
    largest = list(max(by_uid.values(), key=len).values())
    if len(by_uid) > 1:
        message = (
            "%s contains %d DICOM series; the one with the most slices (%d) is read. Put each series into a separate folder to "
            "use them all."
        )
        logger.warning(message, folder, len(by_uid), len(largest))
    if copies:
        message = "%s: skipped, because they are copies of other files (same SOPInstanceUID): %s"
        logger.warning(message, folder, first_of(copies, _NAMED_AT_MOST))
    return largest


def _require_slice(folder: Path, image: _DicomImage, first: _DicomImage) -> None:
    """Refuse an image that is not a slice of a volume, that cannot be rescaled, or whose grid differs from the first one's."""
    name, frames, has_colours = image.name, image.count("NumberOfFrames"), image.count("SamplesPerPixel") > 1
    localiser = f"it contains only localisers (ImageType of {name} has LOCALIZER)."
    for is_wrong, rule, found, remedy in (
        (image.is_localiser, "localiser", localiser, "Leave it out."),
        (frames > 1, "multi_frame", f"{name} contains {frames} frames (enhanced multi-frame DICOM).", _CONVERT),
        ("MOSAIC" in image.kinds, "mosaic", f"{name} shows many slices side by side (Siemens mosaic).", _CONVERT),
        (has_colours, "colour", f"{name} contains colours.", "Give the original grey-level series, or leave it out."),
    ):
        if is_wrong:
            raise ScanError(folder, found, remedy, rule)
    for keyword, excluded in (("RescaleSlope", 0), ("RescaleIntercept", None)):
        text, value = image.texts[keyword], image.numbers(keyword, 1)
        found = ""
        if text and (value is None or value[0] == excluded):
            found = f"{keyword} in the header of {name} is {text}, which is not a number."
        elif bool(text) != bool(first.texts[keyword]):
            found = f"of {first.name} and {name}, only one has {keyword} in its header."
        if found:
            raise ScanError(folder, found, f"Without it the intensities are unknown: {_EXPORT}", "rescale")
    for what, wanted, values, tolerance in (
        ("size", first.size, image.size, 0),
        ("inverted grey values (MONOCHROME1)", int(first.is_inverted), int(image.is_inverted), 0),
        ("PixelSpacing", first.spacing, image.spacing, _GRID_TOLERANCE),
        ("ImageOrientationPatient", first.axes[:2], image.axes[:2], _GRID_TOLERANCE),
    ):
        if not np.allclose(wanted, values, rtol=tolerance, atol=tolerance):
            one, two = (np.round(np.ravel(numbers), 4).tolist() for numbers in (wanted, values))
            difference = f"its images differ in {what}: {one} in {first.name}, {two} in {name}."
            raise ScanError(folder, difference, _SEPARATE, "mixed_images")


def _in_space(folder: Path, images: Sequence[_DicomImage]) -> list[list[_DicomImage]]:
    """The images at each place along the normal, sorted by InstanceNumber."""
    normal = images[0].axes[2]
    places: list[list[_DicomImage]] = []
    for image in sorted(images, key=lambda image: image.position @ normal):
        if places and (image.position - places[-1][0].position) @ normal < _SAME_PLACE * image.spacing.min():
            places[-1].append(image)
        else:
            places.append([image])
        spread = np.linalg.norm(image.position - places[-1][0].position)
        if spread > _LARGEST_SHIFT:
            found = f"{image.name} lies {spread:.3g} mm next to {places[-1][0].name}, in the same plane."
            raise ScanError(folder, found, _SEPARATE, "repeated_slices")
    count, most = (extreme(map(len, places)) for extreme in (min, max))
    if count < most:
        raise ScanError(folder, f"{count} to {most} images lie at each place.", _SEPARATE, "repeated_slices")
    return [sorted(place, key=lambda image: image.order) for place in places]


def _lps_affine(folder: Path, slices: Sequence[_DicomImage], unread: Sequence[str]) -> np.ndarray:
    """The 4 × 4 matrix from ``(column, row, slice)`` to LPS millimetres, which fits ImagePositionPatient within 0.1 mm.

    Missing slices, uneven gaps and a gantry tilt are refused. `unread` are the names of unreadable files for the message.
    """
    row, column, normal = slices[0].axes
    positions = np.stack([image.position for image in slices])
    origin, steps = positions[0], max(len(slices) - 1, 1)
    step = (positions[-1] - origin) / steps if len(slices) > 1 else normal
    shift = np.linalg.norm(positions - origin - np.arange(len(slices))[:, None] * step, axis=1).max()
    if shift > _LARGEST_SHIFT * min(1.0, float(np.linalg.norm(step))):
        raise _uneven(folder, slices, np.diff(positions @ normal), shift, unread)
    slip = np.linalg.norm(step - step @ normal * normal)
    tilt = np.degrees(np.arctan2(slip, step @ normal))
    if tilt > _LARGEST_TILT and slip * steps > _SMALLEST_SLIP:
        found = f"its slices have a gantry tilt of {tilt:.1f} degrees: they do not lie straight above each other."
        raise ScanError(folder, found, _RESAMPLE, "gantry_tilt")
    affine = np.eye(4)
    affine[:3] = np.stack([row * slices[0].spacing[0], column * slices[0].spacing[1], step, origin], axis=1)
    return affine


def _uneven(
    folder: Path, slices: Sequence[_DicomImage], gaps: np.ndarray, shift: float, unread: Sequence[str]
) -> ScanError:
    gap = np.median(gaps[gaps < 1.5 * gaps.min()])
    missing = np.round(gaps / gap).astype(int) - 1
    if missing.any() and np.allclose(gaps, (missing + 1) * gap, rtol=0, atol=_GAP_TOLERANCE * gap):
        where = [
            f"{missing[k]} between {slices[k].name} and {slices[k + 1].name}" for k in np.flatnonzero(missing).tolist()
        ]
        cause = f" Not readable: {', '.join(unread)}." if unread else ""
        count, total = missing.sum(), missing.sum() + len(slices)
        found = f"slices are missing: {count} of {total} ({first_of(where, _NAMED_AT_MOST)}).{cause}"
        return ScanError(folder, found, "Copy the whole series again, or leave it out.", "missing_slices")
    found = (
        f"its slices are not evenly spaced: the gaps between them are {gaps.min():.4g} to {gaps.max():.4g} mm, "
        f"and a slice lies up to {shift:.3g} mm from its place on an even grid."
    )
    return ScanError(folder, found, _RESAMPLE, "uneven_slices")
