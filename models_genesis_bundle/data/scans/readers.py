"""Readers of the formats that scans come in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader, ITKReader, NibabelReader, NumpyReader, PILReader
from monai.utils.enums import MetaKeys

from models_genesis_bundle.data.scans.files import IMAGE_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix
from models_genesis_bundle.data.scans.scan_error import ScanError

__all__ = ["reader_for"]

logger = logging.getLogger(__name__)

_GREY_MODES = ("1", "L", "I", "I;16", "F")
_LARGEST_GAP_DEVIATION = 0.1


class _LargestSeriesReader(ITKReader):
    """ITK reader that takes the series with the most slices out of a DICOM folder, and says so if there are more.

    Raises:
        ScanError: the gaps between the slices differ, as they do where a slice is missing or cannot be read; ITK would
            close the gap and distort the scan.
    """

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        import itk

        (folder,) = (data,) if isinstance(data, (str, Path)) else tuple(data)
        names = itk.GDCMSeriesFileNames.New()
        names.SetUseSeriesDetails(True)
        names.SetDirectory(str(folder))
        series = [list(names.GetFileNames(uid)) for uid in names.GetSeriesUIDs()]
        if not series:
            raise FileNotFoundError("the folder holds no DICOM series")
        largest = max(series, key=len)
        if len(series) > 1:
            logger.warning(
                "%s holds %d DICOM series; the one with the most slices (%d) is read. "
                "Give each series a folder of its own to use them all.",
                folder,
                len(series),
                len(largest),
            )
        listed = {Path(name).name for names in series for name in names}
        unread = sorted(f.name for f in Path(folder).iterdir() if is_dicom_file(f) and f.name not in listed)
        image = itk.imread(largest if len(largest) > 1 else largest[0], **kwargs)
        _require_even_slices(image, str(folder), unread)
        if unread:
            logger.warning("%s: not an image, or not readable, and left out: %s", folder, ", ".join(unread))
        return image


def _require_even_slices(image: Any, folder: str, unread: Sequence[str]) -> None:
    metadata = dict(image)
    deviation = metadata.get("ITK_non_uniform_sampling_deviation", 0.0)
    if deviation > _LARGEST_GAP_DEVIATION * float(metadata["spacing"][0]):
        cause = f"; not readable: {', '.join(unread)}" if unread else ""
        raise ScanError(
            folder,
            f"the gaps between its slices differ by up to {deviation:.3g} mm, slices are missing{cause}.",
            "Copy the whole series again, or leave it out.",
        )


class _PictureReader(PILReader):
    """Pillow reader that places a picture as DICOM without geometry is: axes in LPS, a pixel is 1 mm."""

    def _get_meta_dict(self, img: Any) -> dict:
        return {**super()._get_meta_dict(img), MetaKeys.AFFINE: np.diag([-1.0, -1.0, 1.0])}


def _to_grey(image: Any) -> Any:
    return image if image.mode in _GREY_MODES else image.convert("L")


def reader_for(path: Path, spatial_dims: int = 3) -> ImageReader:
    """The reader of a file or DICOM folder.

    Args:
        path: the file, or a folder with one DICOM series.
        spatial_dims: with 2, a single DICOM file is an image, too; ITK inverts ``MONOCHROME1`` by itself.

    Raises:
        ScanError: a file of no known format.
    """
    if path.is_dir():
        return _LargestSeriesReader()
    suffix = scan_suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return NibabelReader()
    if suffix == ".npy":
        return NumpyReader()
    if suffix in IMAGE_SUFFIXES:
        return _PictureReader(converter=_to_grey)
    if suffix or (spatial_dims == 2 and is_dicom_file(path)):
        return ITKReader()
    raise ScanError(
        path,
        "its suffix is of no known format.",
        f"Give a folder of DICOM slices or a file of {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)}.",
    )
