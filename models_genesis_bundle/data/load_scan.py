"""Reading of one scan, with every reason to refuse it said in words."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import ImageReader, ITKReader, MetaTensor, NibabelReader, NumpyReader, PILReader
from monai.transforms import EnsureChannelFirst, LoadImage, MapTransform

from models_genesis_bundle.data.scan_files import IMAGE_SUFFIXES, SCAN_SUFFIXES, is_dicom_file, scan_suffix

__all__ = ["LoadScand", "ScanError"]

logger = logging.getLogger(__name__)

_GREY_MODES = ("1", "L", "I", "I;16", "F")
_LARGEST_GAP_DEVIATION = 0.1


class ScanError(ValueError):
    """A scan that cannot be used.

    Args:
        file: the scan's file or folder.
        found: what is wrong with it, a sentence.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, file: PathLike, found: str, remedy: str) -> None:
        super().__init__(str(file), found, remedy)
        self.file, self.found, self.remedy = str(file), found, remedy

    def __str__(self) -> str:
        return f"{self.file}: {self.found} {self.remedy}"


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


def _to_grey(image: Any) -> Any:
    return image if image.mode in _GREY_MODES else image.convert("L")


def _reader_for(path: Path) -> ImageReader:
    if path.is_dir():
        return _LargestSeriesReader()
    suffix = scan_suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return NibabelReader()
    if suffix == ".npy":
        return NumpyReader()
    if suffix in IMAGE_SUFFIXES:
        return PILReader(converter=_to_grey)
    if suffix:
        return ITKReader()
    raise ScanError(
        path,
        "its suffix is of no known format.",
        f"Give a folder of DICOM slices or a file of {', '.join(SCAN_SUFFIXES + IMAGE_SUFFIXES)}.",
    )


class LoadScand(MapTransform):
    """Dictionary transform that reads scans of one channel.

    NIfTI goes through nibabel; NRRD, MetaImage (``.mhd``, ``.mha``) and DICOM folders through ITK; ``.npy`` has no
    geometry and gets the identity as its affine; PNG and JPEG are for 2D, colours become grey.

    Args:
        keys: keys that hold the path of a file, or of a folder with one DICOM series.
        spatial_dims: 3, or 2 for flat images.
        volume: which volume of a file with several (a time series, several MR contrasts) to take, from 0. None
            refuses such a file.
        allow_constant: whether a scan may have the same value everywhere, as a label map without foreground has.
        allow_missing_keys: whether a missing key is no error.

    Shape:
        Result: a float32 MetaTensor ``(1, X, Y, Z)`` or ``(1, X, Y)``, in the file's unit, with its affine in RAS
        millimetres. Axes of length 1 after the spatial ones are dropped.

    Raises:
        ScanError: the file is not there, cannot be read or is truncated; it has fewer spatial axes (one of length 1
            counts as none), or more volumes than one; it holds NaN or infinite voxels, is constant, or its affine is
            singular.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_dims: int = 3,
        volume: int | None = None,
        allow_constant: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if spatial_dims not in (2, 3):
            raise ValueError(f"LoadScand: spatial_dims must be 2 or 3, got {spatial_dims}.")
        self.spatial_dims = spatial_dims
        self.volume = volume
        self.allow_constant = allow_constant
        self._load = LoadImage(image_only=True, dtype=np.float32)
        self._add_channel = EnsureChannelFirst(channel_dim="no_channel")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths of `data` by the scans."""
        loaded = dict(data)
        for key in self.key_iterator(loaded):
            loaded[key] = self._read(Path(loaded[key]))
        return loaded

    def _read(self, path: Path) -> MetaTensor:
        if not path.exists():
            raise ScanError(path, "there is no such file.", "Check the path and the datalist.")
        reader = _reader_for(path)
        try:
            image = self._load(str(path), reader=reader)
        except ScanError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[-300:]
            raise ScanError(
                path,
                f"it cannot be read ({type(error).__name__}: {reason}).",
                "It may be truncated or damaged: copy it again, or leave it out.",
            ) from error
        image = self._spatial_axes_only(image, path)
        self._check(image, path)
        return self._add_channel(image)

    def _spatial_axes_only(self, image: MetaTensor, path: Path) -> MetaTensor:
        found = tuple(image.shape)
        if scan_suffix(path) == ".npy" and len(found) == self.spatial_dims + 1 and found[0] == 1:
            image = image[0]
        while image.ndim > self.spatial_dims and image.shape[-1] == 1:
            image = image[..., 0]
        if image.ndim == self.spatial_dims + 1 and self.volume is not None:
            if not 0 <= self.volume < image.shape[-1]:
                raise ScanError(
                    path, f"it holds {image.shape[-1]} volumes.", f"volume {self.volume} is none of them; count from 0."
                )
            image = image[..., self.volume]
        if image.ndim > self.spatial_dims:
            extra = "×".join(str(side) for side in image.shape[self.spatial_dims :])
            raise ScanError(
                path,
                f"its shape {found} has {image.ndim} axes where {self.spatial_dims} are wanted: {extra} volumes.",
                f"Name the one to take with volume=0 … {image.shape[-1] - 1}, or save it to a file of its own.",
            )
        if image.ndim < self.spatial_dims or 1 in image.shape:
            raise ScanError(
                path,
                f"its shape {found} has no {self.spatial_dims} axes longer than 1.",
                "Leave it out, or set spatial_dims=2 and use a 2D network for flat images."
                if self.spatial_dims == 3
                else "Leave it out.",
            )
        image.meta["spatial_shape"] = np.asarray(image.shape)
        return image

    def _check(self, image: MetaTensor, path: Path) -> None:
        values = image.as_tensor()
        finite = torch.isfinite(values)
        if not finite.all():
            count = int((~finite).sum())
            raise ScanError(
                path,
                f"{count} of its {values.numel()} voxels are NaN or infinite.",
                "Replace them (numpy.nan_to_num with the value of the background) or leave the scan out.",
            )
        low, high = values.min().item(), values.max().item()
        if low == high and not self.allow_constant:
            raise ScanError(path, f"it is constant: every voxel is {low:g}.", "Leave it out.")
        affine = torch.as_tensor(image.affine)
        if not torch.isfinite(affine).all() or torch.linalg.det(affine).abs() == 0:
            raise ScanError(
                path, "its affine is singular or not finite.", "Write a valid orientation and spacing into its header."
            )
