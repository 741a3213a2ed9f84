"""The slices of a DICOM series: the place of each in the patient, and the grid of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.dicom_image import DicomImage
from models_genesis_bundle.data.scans.scan_compose import ScanError
from models_genesis_bundle.messages import first_of

__all__ = ["DicomSlice", "in_space", "lps_affine"]

_COSINE_TOLERANCE = 0.01
_SAME_PLACE = 0.01  # of a pixel
_LARGEST_SHIFT = 0.1  # mm, and at most this share of the gap between two slices
_LARGEST_TILT = 0.5  # degrees
_SMALLEST_SLIP = 0.1  # mm between the first and the last slice; a tilt with less is rounding
_GAP_TOLERANCE = 0.1
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class DicomSlice:
    """A slice and its geometry, in LPS millimetres."""

    image: DicomImage
    position: np.ndarray  # ImagePositionPatient, the centre of the first pixel (3,)
    axes: np.ndarray  # unit vectors along a row, along a column, and their normal (3, 3)
    spacing: np.ndarray  # distance of pixels along a row and along a column (2,)

    @classmethod
    def of(cls, image: DicomImage, folder: Path) -> DicomSlice:
        """Read the geometry from the header; a `ScanError` of the `folder` if it or the rescale is missing or invalid."""

        def invalid(keyword: str, expected: str, rule: str) -> ScanError:
            found = image.text(keyword) or "nothing"
            return ScanError(
                folder,
                f"{keyword} in the header of {image.name} must be {expected}, found {found}.",
                "Without it the place of the slices is not known: export the series again, or leave it out.",
                rule,
            )

        for keyword, excluded in (("RescaleSlope", 0), ("RescaleIntercept", None)):
            value = image.numbers(keyword, 1)
            if image.text(keyword) and (value is None or value[0] == excluded):
                raise ScanError(
                    folder,
                    f"{keyword} in the header of {image.name} is {image.text(keyword)}, which is not a number to scale with.",
                    "Its values are not known: export the series again, or leave it out.",
                    "rescale",
                )
        spacing = image.numbers("PixelSpacing", 2)
        if spacing is None or not (spacing > 0).all():
            raise invalid("PixelSpacing", "two numbers above 0", "no_spacing")
        position = image.numbers("ImagePositionPatient", 3)
        if position is None:
            raise invalid("ImagePositionPatient", "three numbers", "no_position")
        cosines = image.numbers("ImageOrientationPatient", 6)
        row, column = np.zeros((2, 3)) if cosines is None else cosines.reshape(2, 3)
        if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=_COSINE_TOLERANCE):
            raise invalid("ImageOrientationPatient", "two unit vectors at right angles", "no_orientation")
        row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
        return cls(image, position, np.stack([row, column, np.cross(row, column)]), spacing[::-1])

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.image.name

    @property
    def order(self) -> tuple[int, str]:
        """InstanceNumber and file name, which order the slices at one place."""
        return self.image.count("InstanceNumber"), self.name


def in_space(folder: Path, slices: Sequence[DicomSlice], volume: int | None = None) -> list[DicomSlice]:
    """Order slices of the same orientation along their normal, one for each place.

    If there are several at each place, `volume` is the one to take, from 0 in the order of InstanceNumber.
    """
    normal = slices[0].axes[2]
    places: list[list[DicomSlice]] = []
    for one in sorted(slices, key=lambda one: (one.position @ normal, one.order)):
        if places and (one.position - places[-1][0].position) @ normal < _SAME_PLACE * one.spacing.min():
            places[-1].append(one)
        else:
            places.append([one])
    count, most = (extreme(map(len, places)) for extreme in (min, max))
    if count < most:
        remedy = "Give the images of each volume a folder of their own."
        raise ScanError(folder, f"{count} to {most} images lie at each place.", remedy, "repeated_slices")
    if count == 1:
        return [place[0] for place in places]
    if volume is None:
        raise ScanError(
            folder,
            f"{count} images lie at each place (time points or echoes).",
            f"Name the one to take with volume=0 … {count - 1}, or give each volume a folder of its own.",
            "several_volumes",
        )
    if not 0 <= volume < count:
        remedy = f"volume {volume} is none of them; count from 0."
        raise ScanError(folder, f"it holds {count} volumes.", remedy, "volume")
    return [sorted(place, key=lambda one: one.order)[volume] for place in places]


def lps_affine(folder: Path, slices: Sequence[DicomSlice], unread: Sequence[str] = ()) -> np.ndarray:
    """The 4 × 4 matrix from ``(column, row, slice)`` to LPS millimetres that agrees with the header of every slice.

    It puts the first pixel of each slice within 0.1 mm of its ImagePositionPatient. Missing slices, uneven gaps and a gantry
    tilt are refused; `unread` names the files that could not be read, for the message.
    """
    row, column, normal = slices[0].axes
    positions = np.stack([one.position for one in slices])
    steps = max(len(slices) - 1, 1)
    step = (positions[-1] - positions[0]) / steps if len(slices) > 1 else normal
    shifts = np.linalg.norm(positions - positions[0] - np.arange(len(slices))[:, None] * step, axis=1)
    if shifts.max() > _LARGEST_SHIFT * min(1.0, float(np.linalg.norm(step))):
        raise _uneven(folder, slices, np.diff(positions @ normal), shifts.max(), unread)
    slip = np.linalg.norm(step - step @ normal * normal)
    tilt = np.degrees(np.arctan2(slip, step @ normal))
    if tilt > _LARGEST_TILT and slip * steps > _SMALLEST_SLIP:
        found = f"its slices have a gantry tilt of {tilt:.1f} degrees: they do not lie straight above each other."
        remedy = "Resample it to a straight grid, as dcm2niix does while it converts to NIfTI, or leave it out."
        raise ScanError(folder, found, remedy, "gantry_tilt")
    affine = np.eye(4)
    affine[:3] = np.stack([row * slices[0].spacing[0], column * slices[0].spacing[1], step, positions[0]], axis=1)
    return affine


def _uneven(
    folder: Path, slices: Sequence[DicomSlice], gaps: np.ndarray, shift: float, unread: Sequence[str]
) -> ScanError:
    gap = np.median(gaps[gaps < 1.5 * gaps.min()])
    missing = np.round(gaps / gap).astype(int) - 1
    if missing.any() and np.allclose(gaps, (missing + 1) * gap, rtol=0, atol=_GAP_TOLERANCE * gap):
        where = [
            f"{missing[k]} between {slices[k].name} and {slices[k + 1].name}" for k in np.flatnonzero(missing).tolist()
        ]
        cause = f" Not readable: {', '.join(unread)}." if unread else ""
        return ScanError(
            folder,
            f"slices are missing: {missing.sum()} of {missing.sum() + len(slices)} ({first_of(where, _NAMED_AT_MOST)}).{cause}",
            "Copy the whole series again, or leave it out.",
            "missing_slices",
        )
    return ScanError(
        folder,
        f"its slices are not evenly spaced: the gaps between them are {gaps.min():.4g} to {gaps.max():.4g} mm, "
        f"and a slice lies up to {shift:.3g} mm from its place on an even grid.",
        "Resample it to an even grid, as dcm2niix does while it converts to NIfTI, or leave it out.",
        "uneven_slices",
    )
