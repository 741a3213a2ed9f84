"""The transform that reads one scan, or refuses it with the reason."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, scan_suffix
from models_genesis_bundle.data.scans.raw_scan import ScanError, damaged
from models_genesis_bundle.data.scans.readers import read_raw_scan
from models_genesis_bundle.files import printable
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing, to_affine_nd
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys, ensure_tuple

logger = logging.getLogger(__name__)

_FURTHER_AXES = {
    3: ("volumes", ""),
    2: ("slices, frames or colours", "; volumes need spatial_dims=3, even if a network sees only slices"),
}
_LEAST_AXIAL_SHARE = 0.1
_LARGEST_SHIFT = 0.1  # of a voxel
_LARGEST_SHEAR = 1.0  # degrees
_FARTHEST = 1e9  # mm; farther away, rounding errors exceed the size of a voxel


class LoadScand(MapTransform):
    """Dictionary transform that reads scans with one or several channels.

    It reads NIfTI, NRRD, MetaImage (``.mhd``, ``.mha``), DICOM folders and ``.npy`` (with the identity as its affine); in 2D also
    PNG, JPEG (colours become grey) and single DICOM files. Inverted DICOM (``MONOCHROME1``) is inverted, so that air is dark.

    Args:
        keys: keys with the path of a file or of a folder with one DICOM series, or with a list of these paths.
        spatial_dims: 3, or 2 for flat images.
        volume: number of the volume to read, from 0, if a file has several (time points, MR contrasts; in 2D frames or
            colours). With None, such a file is refused, unless there are several `channels`.
        allow_constant: accept a scan with the same value everywhere, such as a label map without foreground.
        allow_missing_keys: ignore missing keys.
        channels: number of channels of a scan. Several channels are files on the same grid (``channel_files`` of the item, see
            `segmentation_datalist`), or volumes of one file.

    Shape:
        A float32 MetaTensor ``(C, X, Y, Z)`` or ``(C, X, Y)`` in the file's unit, with its affine in RAS millimetres and
        ``meta["modality"]`` (``CT``, ``MR`` …; ``""`` if unknown). Further axes of length 1 are removed. In 2D the affine is
        that of the axial plane; for other planes, it has only the spacing, with axes to the left and the back.

    Raises:
        ScanError: the file is absent, damaged or flat, or has several volumes; its voxels are NaN, infinite, complex, colours
            or constant; its affine is singular; its DICOM slices are not a regular grid; the number of channels is wrong, or
            their grids differ. ``rule`` names the reason.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_dims: int = 3,
        volume: int | None = None,
        allow_constant: bool = False,
        allow_missing_keys: bool = False,
        channels: int = 1,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if spatial_dims not in (2, 3):
            raise ValueError(f"LoadScand: spatial_dims must be 2 or 3, got {spatial_dims}.")
        if channels > 1 and volume is not None:
            raise ValueError(
                f"LoadScand: volume={volume} selects one channel, but channels is {channels}. Set only one of them."
            )
        self.spatial_dims = spatial_dims
        self.volume = volume
        self.channels = channels
        self.allow_constant = allow_constant

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths of `data` by the scans."""
        loaded = dict(data)
        for key in self.key_iterator(loaded):
            files = loaded[key] if self.channels == 1 else loaded.get(CHANNEL_FILES, loaded[key])
            loaded[key] = self._load([Path(file) for file in ensure_tuple(files)])
        return loaded

    def _load(self, files: Sequence[Path]) -> MetaTensor:
        if len(files) == 1:
            return self._read(files[0], self.channels)
        if len(files) != self.channels:
            found = f"it has {len(files)} channels, one for each of {', '.join(file.name for file in files)}."
            raise ScanError(
                files[0], found, f"Give {self.channels} files, one for each channel of the network.", "channels"
            )
        channels = [self._read(file, 1) for file in files]
        for file, channel in zip(files, channels, strict=True):
            if difference := grid_difference(channel, channels[0]):
                remedy = "Resample all channels to the grid of one of them."
                raise ScanError(file, f"{difference} of the first channel, {files[0]}.", remedy, "grid")
        return MetaTensor(torch.cat([channel.as_tensor() for channel in channels]), meta=channels[0].meta)

    def _read(self, path: Path, channels: int) -> MetaTensor:
        try:
            if not path.exists():
                raise ScanError(path, "there is no such file.", "Check the path and the datalist.", "absent")
            raw = read_raw_scan(path, self.spatial_dims)
            values = self._channels_first(raw.values, path, channels)
            image = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
        except (ScanError, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[-300:]
            raise damaged(path, f"it cannot be read ({type(error).__name__}: {reason}).") from error
        affine = torch.from_numpy(raw.affine)
        self._check(image, affine, path)
        meta = {
            MetaKeys.ORIGINAL_AFFINE: raw.affine,
            MetaKeys.SPATIAL_SHAPE: np.asarray(image.shape[1:]),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            ImageMetaKey.FILENAME_OR_OBJ: str(path),
            "modality": raw.modality,
        }
        return MetaTensor(image, affine=affine if self.spatial_dims == 3 else flat_affine(affine), meta=meta)

    def _channels_first(self, values: np.ndarray, path: Path, channels: int) -> np.ndarray:
        dims, found = self.spatial_dims, f"its shape {values.shape} has"
        if scan_suffix(path) == ".npy" and values.ndim == dims + 1 and len(values) == 1:
            values = values[0]
        values = values.reshape(*values.shape[:dims], *(side for side in values.shape[dims:] if side > 1))
        further = values.shape[dims:]
        if len(further) == 1 and self.volume is not None:
            if not 0 <= self.volume < further[0]:
                remedy = f"There is no volume {self.volume}; choose one from 0 to {further[0] - 1}."
                raise ScanError(path, f"it contains {further[0]} volumes.", remedy, "volume")
            values, further = values[..., self.volume], ()
        sides = "×".join(map(str, further)) or "1"
        if channels > 1 and further != (channels,):
            found = f"{found} {sides} channels, but the network takes {channels}."
            remedy = "Give one file for each channel, or one file with all channels"
            remedy += ", see Several channels in docs/reference/labelled_data.md."
            raise ScanError(path, found, remedy, "channels")
        if channels == 1 and further:
            what, hint = _FURTHER_AXES[dims]
            remedy = (
                f"Select one with volume=0 … {further[-1] - 1}, or save it as a separate file{hint}. In "
                f"fine-tuning, scan_preprocessing::channels={further[-1]} uses all of them."
            )
            found = f"{found} {values.ndim} axes instead of {dims}: {sides} {what}."
            raise ScanError(path, found, remedy, "several_volumes")
        values = np.moveaxis(values, -1, 0) if further else values[None]
        if values.ndim <= dims or 1 in values.shape[1:]:
            instead = ", or set spatial_dims=2 and use a 2D network for flat images" if dims == 3 else ""
            raise ScanError(path, f"{found} no {dims} axes longer than 1.", f"Leave it out{instead}.", "flat")
        return values

    def _check(self, image: torch.Tensor, affine: torch.Tensor, path: Path) -> None:
        for channel in image:
            unusable = int((~torch.isfinite(channel)).sum())
            if unusable:
                found = f"{unusable} of its {channel.numel()} voxels are NaN or infinite."
                remedy = "Replace them (numpy.nan_to_num with the value of the background) or leave the scan out."
                raise ScanError(path, found, remedy, "not_finite")
            low, high = channel.min().item(), channel.max().item()
            if low == high and not self.allow_constant:
                raise ScanError(path, f"it is constant: every voxel is {low:g}.", "Leave it out.", "constant")
        if not (affine.abs() < _FARTHEST).all() or torch.linalg.det(affine).abs() == 0:
            remedy = "Write a valid orientation and spacing into its header."
            raise ScanError(path, f"its affine is singular, not finite or above {_FARTHEST:g} mm.", remedy, "affine")
        if self.spatial_dims == 3 and (angle := _shear(affine.numpy())) > _LARGEST_SHEAR:
            logger.warning(
                "%s: its axes are %.1f degrees from perpendicular, as after a gantry tilt. Distances in mm are approximate, and "
                "the network sees sheared shapes unless `scan_preprocessing::spacing` is set, which resamples them.",
                printable(path),
                angle,
            )


def _shear(affine: np.ndarray) -> float:
    """The largest difference between the angle of two axes and 90 degrees."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arcsin(np.abs(axes.T @ axes - np.eye(3)).max().clip(max=1))))


def flat_affine(affine: torch.Tensor) -> torch.Tensor:
    """The 3 × 3 affine of an image within the axial plane, from the 4 × 4 affine of its file; see `LoadScand`."""
    plane, spacing = to_affine_nd(2, affine), affine_to_spacing(affine, r=len(affine) - 1)[:2]
    if torch.linalg.det(plane).abs() > _LEAST_AXIAL_SHARE * spacing.prod():
        return plane
    return torch.diag(torch.cat([-spacing, torch.ones(1, dtype=spacing.dtype)]))


def grid_difference(one: MetaTensor, other: MetaTensor, ignore_affine: bool = False) -> str | None:
    """The difference of two images' shapes or affines for a message; None if no corner voxel moves by over 0.1 voxels."""
    shape, expected = tuple(one.shape[1:]), tuple(other.shape[1:])
    if shape != expected:
        return f"its shape {shape} differs from {expected}"
    own, wanted = (to_affine_nd(len(shape), image.affine).numpy() for image in (one, other))
    corners = np.array([(*corner, 1.0) for corner in product(*((0, side - 1) for side in shape))])
    shift = float(np.linalg.norm(corners @ (own - wanted).T, axis=1).max())
    if ignore_affine or shift <= _LARGEST_SHIFT * affine_to_spacing(wanted, len(shape)).min():
        return None
    own, wanted = (affine[:-1].round(3).tolist() for affine in (own, wanted))
    return f"its affine {own} puts voxels up to {shift:.3g} mm away from where the {wanted}"
