"""One DICOM file: its header and its pixels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from models_genesis_bundle.data.scans.itk_file import itk_affine, itk_image, itk_name
from models_genesis_bundle.data.scans.raw_scan import RawScan

__all__ = ["DicomImage", "read_flat_dicom"]

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
    "NumberOfFrames": "0028|0008",
    "Rows": "0028|0010",
    "Columns": "0028|0011",
    "PixelSpacing": "0028|0030",
    "RescaleIntercept": "0028|1052",
    "RescaleSlope": "0028|1053",
}


@dataclass(frozen=True)
class DicomImage:
    """The header of a DICOM file with pixels; `texts` are its elements by their DICOM keyword."""

    file: Path
    texts: dict[str, str]

    @classmethod
    def open(cls, file: Path) -> DicomImage:
        """Read the header; ITK raises `RuntimeError` for a file without pixels, or one that it cannot read."""
        with itk_name(file) as name:
            io = _gdcm()
            io.SetFileName(name)
            io.ReadImageInformation()
        found = io.GetMetaDataDictionary()
        return cls(file, {keyword: found[tag].strip("\0 ") for keyword, tag in _TAGS.items() if found.HasKey(tag)})

    def text(self, keyword: str) -> str:
        """The text of an element, or ``""``."""
        return self.texts.get(keyword, "")

    def numbers(self, keyword: str, count: int) -> np.ndarray | None:
        """The numbers of an element; None if it is missing, has another number of values than `count`, or is not finite."""
        try:
            values = np.array([float(word) for word in self.text(keyword).split("\\")])
        except ValueError:
            return None
        return values if values.shape == (count,) and np.isfinite(values).all() else None

    def count(self, keyword: str) -> int:
        """The number in an element that counts something; 1 if it is missing."""
        values = self.numbers(keyword, 1)
        return 1 if values is None else int(values[0])

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.file.name

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.count("Columns"), self.count("Rows")

    @property
    def image_type(self) -> list[str]:
        """The values of ImageType, such as ``ORIGINAL`` or ``LOCALIZER``."""
        return self.text("ImageType").upper().split("\\")

    def pixels(self) -> np.ndarray:
        """Float32 ``(rows, columns)``: stored value × slope + intercept of this file; MONOCHROME1 is inverted to dark air.

        ITK raises `RuntimeError` for pixels that are truncated or cannot be decoded.
        """
        import itk

        with itk_name(self.file) as name:
            return itk.array_from_image(itk_image(name, _gdcm(), itk.Image[itk.F, 2]))


def read_flat_dicom(file: Path) -> RawScan:
    """Read a DICOM file as a flat image ``(X, Y, 1)``, with a further axis for frames or colours."""
    import itk

    header = DicomImage.open(file)
    spacing = [header.numbers(keyword, 2) for keyword in ("PixelSpacing", "ImagerPixelSpacing")]
    if not any(values is not None and (values > 0).all() for values in spacing):
        logger.warning("%s: its header gives no PixelSpacing above 0; a pixel is assumed to be 1 mm.", file)
    with itk_name(file) as name:
        image = itk.imread(name, imageio=_gdcm())
    values = itk.array_from_image(image).T
    if image.GetNumberOfComponentsPerPixel() > 1:
        values = np.moveaxis(values, 0, -1)
    return RawScan(values, itk_affine(image), header.text("Modality"))


def _gdcm() -> Any:
    import itk

    return itk.GDCMImageIO.New()
