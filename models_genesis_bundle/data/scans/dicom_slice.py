"""One slice of a DICOM series and its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_genesis_bundle.data.scans.dicom_image import DicomImage
from models_genesis_bundle.data.scans.scan_compose import ScanError

__all__ = ["DicomSlice"]

_COSINE_TOLERANCE = 0.01


@dataclass(frozen=True)
class DicomSlice:
    """A slice and its geometry, in LPS millimetres.

    Args:
        image: its file.
        position: ImagePositionPatient, the centre of the first pixel ``(3,)``.
        axes: unit vectors along a row, along a column, and their normal ``(3, 3)``.
        spacing: distance of pixels along a row and along a column ``(2,)``.
    """

    image: DicomImage
    position: np.ndarray
    axes: np.ndarray
    spacing: np.ndarray

    @classmethod
    def of(cls, image: DicomImage, folder: Path) -> DicomSlice:
        """Take the geometry out of the header.

        Raises:
            ScanError: the header lacks it, or it or the rescale makes no sense; names the `folder`.
        """

        def absent(keyword: str, expected: str, rule: str) -> ScanError:
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
                    f"{keyword} in the header of {image.name} is {image.text(keyword)}, which is no number to scale with.",
                    "Its values are not known: export the series again, or leave it out.",
                    "rescale",
                )
        spacing = image.numbers("PixelSpacing", 2)
        if spacing is None or not (spacing > 0).all():
            raise absent("PixelSpacing", "two numbers above 0", "no_spacing")
        position = image.numbers("ImagePositionPatient", 3)
        if position is None:
            raise absent("ImagePositionPatient", "three numbers", "no_position")
        cosines = image.numbers("ImageOrientationPatient", 6)
        row, column = np.zeros((2, 3)) if cosines is None else cosines.reshape(2, 3)
        if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=_COSINE_TOLERANCE):
            raise absent("ImageOrientationPatient", "two unit vectors at right angles", "no_orientation")
        row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
        return cls(image, position, np.stack([row, column, np.cross(row, column)]), spacing[::-1])

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.image.name

    @property
    def order(self) -> tuple[int, str]:
        """What orders slices at the same place: InstanceNumber, then the file's name."""
        return self.image.count("InstanceNumber"), self.name
