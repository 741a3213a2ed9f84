"""Reading of one scan, with every reason to refuse it said in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.files import CHANNEL_FILES, scan_suffix
from models_genesis_bundle.data.scans.readers import read_raw_scan
from models_genesis_bundle.data.scans.same_grid import affine_difference, shape_difference
from models_genesis_bundle.data.scans.scan_compose import ScanError
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing, to_affine_nd
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys, ensure_tuple

__all__ = ["LoadScand", "flat_affine"]

_FURTHER_AXES = {
    3: ("volumes", ""),
    2: ("slices, frames or colours", "; volumes want spatial_dims=3, also where a network sees their slices"),
}
_LEAST_AXIAL_SHARE = 0.1


class LoadScand(MapTransform):
    """Dictionary transform that reads scans of one channel, or of several.

    NIfTI is read by nibabel; NRRD, MetaImage (``.mhd``, ``.mha``) and DICOM folders by ITK; ``.npy`` has no geometry and
    gets the identity as its affine. In 2D, PNG and JPEG, whose colours become grey, and single DICOM files are read as
    well. DICOM with inverted grey values (``MONOCHROME1``) is turned to dark air.

    Args:
        keys: keys that hold the path of a file, or of a folder with one DICOM series, or a list of such paths.
        spatial_dims: 3, or 2 for flat images.
        volume: which volume of a file with several (a time series, several MR contrasts; in 2D frames or colours) to
            take, from 0. None refuses such a file, unless there are several `channels`.
        channels: how many channels a scan must have. Several come from as many files on the same grid (those of the
            item's ``channel_files`` where it has them, see `segmentation_datalist`), or from one with as many volumes.
        allow_constant: whether a scan may have the same value everywhere, as a label map without foreground has.
        allow_missing_keys: whether a missing key is no error.

    Shape:
        Result: a float32 MetaTensor ``(C, X, Y, Z)`` or ``(C, X, Y)``, in the file's unit, with its affine in RAS
        millimetres and ``meta["modality"]`` (``CT``, ``MR`` …; ``""`` if the file does not say). Axes of length 1 after the
        spatial ones are dropped. In 2D the affine is that within the axial plane; an image of another plane keeps its
        spacing alone, with its axes to the left and the back.

    Raises:
        ScanError: the file is not there, cannot be read or is truncated; it has fewer spatial axes (one of length 1
            counts as none), or more volumes than one; its voxels are NaN, infinite, complex, colours or all the same; its
            affine is singular; its DICOM slices do not make a regular grid; it has other channels, or their files lie on
            different grids. Its ``rule`` names the reason.
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
                f"LoadScand: volume={volume} is one channel, but channels is {channels}. Give one of them."
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
            raise ScanError(
                files[0],
                f"it has {len(files)} channels, one for each of {', '.join(file.name for file in files)}.",
                f"Give {self.channels}, as many as the network sees.",
                "channels",
            )
        first, *others = (self._read(file, 1) for file in files)
        for file, other in zip(files[1:], others, strict=True):
            if found := shape_difference(other, first) or affine_difference(other, first):
                raise ScanError(
                    file,
                    f"{found} of the first channel, {files[0]}.",
                    "Resample the channels onto the grid of one of them.",
                    "grid",
                )
        channels = torch.cat([channel.as_tensor() for channel in (first, *others)])
        return MetaTensor(channels, meta=first.meta)

    def _read(self, path: Path, channels: int) -> MetaTensor:
        if not path.exists():
            raise ScanError(path, "there is no such file.", "Check the path and the datalist.", "absent")
        try:
            raw = read_raw_scan(path, self.spatial_dims, self.volume)
            values = self._channels_first(raw.values, path, channels)
            image = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
        except (ScanError, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[-300:]
            raise ScanError(
                path,
                f"it cannot be read ({type(error).__name__}: {reason}).",
                "It may be truncated or damaged: copy it again, or leave it out.",
                "damaged",
            ) from error
        affine = torch.from_numpy(raw.affine)
        for channel in image:
            self._check(channel, affine, path)
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
        """The values as (C, X, Y[, Z])."""
        found = values.shape
        if scan_suffix(path) == ".npy" and len(found) == self.spatial_dims + 1 and found[0] == 1:
            values = values[0]
        further = (side for side in values.shape[self.spatial_dims :] if side > 1)
        values = values.reshape(*values.shape[: self.spatial_dims], *further)
        if values.ndim == self.spatial_dims + 1 and self.volume is not None:
            if not 0 <= self.volume < values.shape[-1]:
                raise ScanError(
                    path,
                    f"it holds {values.shape[-1]} volumes.",
                    f"volume {self.volume} is none of them; count from 0.",
                    "volume",
                )
            values = values[..., self.volume]
        if channels > 1:
            if values.ndim != self.spatial_dims + 1 or values.shape[-1] != channels:
                own = "×".join(str(side) for side in values.shape[self.spatial_dims :]) or "1"
                raise ScanError(
                    path,
                    f"its shape {found} has {own} channels, and the network sees {channels}.",
                    "Give a file for each channel or one with all of them, see Several channels in "
                    "docs/reference/labelled_data.md.",
                    "channels",
                )
            values = np.moveaxis(values, -1, 0)
        elif values.ndim <= self.spatial_dims:
            values = values[None]
        else:
            what, hint = _FURTHER_AXES[self.spatial_dims]
            extra = "×".join(str(side) for side in values.shape[self.spatial_dims :])
            raise ScanError(
                path,
                f"its shape {found} has {values.ndim} axes where {self.spatial_dims} are wanted: {extra} {what}.",
                f"Name the one to take with volume=0 … {values.shape[-1] - 1}, or save it to a file of its own{hint}. In "
                f"fine-tuning, scan_preprocessing::channels={values.shape[-1]} takes all of them.",
                "several_volumes",
            )
        if values.ndim <= self.spatial_dims or 1 in values.shape[1:]:
            instead = ", or set spatial_dims=2 and use a 2D network for flat images" if self.spatial_dims == 3 else ""
            reason = f"its shape {found} has no {self.spatial_dims} axes longer than 1."
            raise ScanError(path, reason, f"Leave it out{instead}.", "flat")
        return values

    def _check(self, values: torch.Tensor, affine: torch.Tensor, path: Path) -> None:
        finite = torch.isfinite(values)
        if not finite.all():
            count = int((~finite).sum())
            raise ScanError(
                path,
                f"{count} of its {values.numel()} voxels are NaN or infinite.",
                "Replace them (numpy.nan_to_num with the value of the background) or leave the scan out.",
                "not_finite",
            )
        low, high = values.min().item(), values.max().item()
        if low == high and not self.allow_constant:
            raise ScanError(path, f"it is constant: every voxel is {low:g}.", "Leave it out.", "constant")
        if not torch.isfinite(affine).all() or torch.linalg.det(affine).abs() == 0:
            raise ScanError(
                path,
                "its affine is singular or not finite.",
                "Write a valid orientation and spacing into its header.",
                "affine",
            )


def flat_affine(affine: torch.Tensor) -> torch.Tensor:
    """The affine of an image within the axial plane, 3 × 3, from that of its file, 4 × 4; see `LoadScand`."""
    plane, spacing = to_affine_nd(2, affine), affine_to_spacing(affine, r=len(affine) - 1)[:2]
    if torch.linalg.det(plane).abs() > _LEAST_AXIAL_SHARE * spacing.prod():
        return plane
    return torch.diag(torch.cat([-spacing, torch.ones(1, dtype=spacing.dtype)]))
