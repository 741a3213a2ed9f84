"""Scaling of a scan's intensities to the range of the deformations and the network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.raw_scan import ScanError
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform
from monai.transforms.utils_pytorch_numpy_unification import percentile
from monai.utils import convert_data_type, convert_to_dst_type

_LIMITS: dict[str, Any] = {"window": (-1000.0, 1000.0), "percentile": (0.5, 99.5), "zscore": (None, None)}  # defaults


@dataclass(frozen=True)
class IntensityScaling:
    """The scaling of a scan's intensities for the network.

    ============== =================================================== ============= ========================
    mode           what happens                                        range         can be inverted
    ============== =================================================== ============= ========================
    ``window``     ``[lower, upper]``, in the scan's unit, is mapped   [0, 1]        yes, up to the clipping
                   to [0, 1] and clipped
    ``percentile`` the scan's own percentiles ``lower`` and ``upper``  [0, 1]        no
                   are mapped to [0, 1] and clipped
    ``zscore``     ``(voxel - mean) / std``, clipped to ``±clip``      [-clip, clip] with ``mean`` and ``std``
    ============== =================================================== ============= ========================

    Args:
        mode: ``"window"`` (CT), ``"percentile"`` (MR and other arbitrary units) or ``"zscore"``.
        lower: lower end of the window (default -1000 HU, air) or lower percentile (default 0.5). With ``upper``, ``mean`` and
            ``std``, ``"zscore"`` clips to ``[lower, upper]`` in the scan's unit, as nnU-Net does with CT.
        upper: upper end of the window (default 1000 HU) or upper percentile (default 99.5).
        mean: mean for ``"zscore"``, with ``std``; None: the mean of the scan. The published nnU-Net uses -775.8457 HU.
        std: standard deviation for ``"zscore"``, with ``mean``. The published nnU-Net uses 251.9326 HU.
        clip: largest magnitude after ``"zscore"``, in standard deviations.

    Raises:
        ValueError: the mode is unknown, or the numbers do not define an increasing map.

    Based on: the CT window of Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021, 101840.

    Examples:
        >>> from models_genesis_bundle.data import IntensityScaling
        >>> IntensityScaling()(np.array([-2000.0, 0.0, 500.0])).tolist()  # CT, -1000 … 1000 HU
        [0.0, 0.5, 0.75]
    """

    mode: str = "window"
    lower: float | None = None
    upper: float | None = None
    mean: float | None = None
    std: float | None = None
    clip: float = 5.0

    def __post_init__(self) -> None:
        if self.mode not in _LIMITS:
            raise ValueError(f"IntensityScaling: mode must be one of {', '.join(_LIMITS)}, got {self.mode!r}.")
        if (self.mean is None) != (self.std is None):
            raise ValueError(
                "IntensityScaling: zscore needs both mean and std, or neither (then those of each scan are used)."
            )
        if self.mode != "zscore" and self.mean is not None:
            raise ValueError(f"IntensityScaling: mean and std belong to zscore, not to {self.mode}.")
        if self.std is not None and not self.std > 0:
            raise ValueError(f"IntensityScaling: std must be above 0, got {self.std}.")
        if not self.clip > 0:
            raise ValueError(f"IntensityScaling: clip must be above 0, got {self.clip}.")
        for name, default in zip(("lower", "upper"), _LIMITS[self.mode], strict=True):
            given = getattr(self, name)
            object.__setattr__(self, name, default if given is None else float(given))
        if self.lower is None and self.upper is None:
            return
        if self.lower is None or self.upper is None or (self.mode == "zscore" and self.mean is None):
            raise ValueError(
                "IntensityScaling: with zscore, give both lower and upper, together with mean and std, or neither of them."
            )
        if not self.lower < self.upper:
            raise ValueError(f"IntensityScaling: lower must be below upper, got {self.lower} and {self.upper}.")
        if self.mode == "percentile" and not 0 <= self.lower < self.upper <= 100:
            limits = f"{self.lower} and {self.upper}"
            raise ValueError(
                f"IntensityScaling: percentiles must lie in 0 … 100, got {limits}; 0.5 and 99.5 are usual."
            )

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value of a scaled scan."""
        if self.mode != "zscore":
            return (0.0, 1.0)
        if self.lower is None or self.upper is None or self.mean is None or self.std is None:
            return (-float(self.clip), float(self.clip))
        return ((self.lower - self.mean) / self.std, (self.upper - self.mean) / self.std)

    @property
    def is_invertible(self) -> bool:
        """Whether the map is the same for every scan, so that it can be inverted."""
        return self.mode == "window" or self.mean is not None

    @property
    def is_for_hu(self) -> bool:
        """Whether the scaling is for CT in HU: the same for every scan, and not clipped at 0."""
        return self.is_invertible and float(self.invert(np.array(self.value_range))[0]) < 0

    def __call__(self, image: NdarrayOrTensor) -> NdarrayOrTensor:
        """Scale a scan of any shape, in its unit (HU for CT), to float32 of the same shape and type in `value_range`.

        Raises:
            ValueError: the scan's percentiles are equal, or its standard deviation is 0.
        """
        tensor, *_ = convert_data_type(image, torch.Tensor, dtype=torch.float32)
        offset, unit = self._offset_and_unit(tensor)
        scaled = ((tensor - offset) / unit).clamp(*self.value_range)
        return convert_to_dst_type(scaled, image, dtype=torch.float32)[0]

    def _offset_and_unit(self, tensor: torch.Tensor) -> tuple[float, float]:
        if self.mean is not None and self.std is not None:
            return self.mean, self.std
        if self.mode == "zscore":
            mean, std = tensor.double().mean().item(), tensor.double().std(correction=0).item()
            if not std > 0:
                raise ValueError(f"the standard deviation of the scan is {std:g}: all voxels are equal")
            return mean, std
        lower, upper = self.lower, self.upper
        assert lower is not None and upper is not None
        if self.mode == "percentile":
            lower, upper = (float(value) for value in percentile(tensor, [lower, upper]))
            if not lower < upper:
                both = f"percentiles {self.lower} and {self.upper} are both {lower:g}"
                raise ValueError(f"{both}: nearly all voxels are equal")
        return lower, upper - lower

    def invert(self, image: NdarrayOrTensor) -> NdarrayOrTensor:
        """Convert scaled values of any shape back to the scan's unit; clipped values stay clipped.

        Raises:
            ValueError: the map depends on the scan (``percentile``, or ``zscore`` without ``mean`` and ``std``).
        """
        if not self.is_invertible:
            raise ValueError(
                f"IntensityScaling: {self.mode} scaling by the scan's own statistics cannot be inverted; "
                "use mode 'window', or 'zscore' with mean and std."
            )
        tensor, *_ = convert_data_type(image, torch.Tensor, dtype=torch.float32)
        offset, unit = self._offset_and_unit(tensor)
        return convert_to_dst_type(tensor * unit + offset, image, dtype=torch.float32)[0]

    def scaled_value(self, value: float) -> float:
        """Scale one value in the scan's unit, such as a threshold in HU.

        Raises:
            ValueError: the map depends on the scan, or it clips `value`.
        """
        scaled = float(self(np.array([value], dtype=np.float32))[0]) if self.is_invertible else float("nan")
        low, high = self.value_range
        if not low < scaled < high:
            reason = "is clipped away" if self.is_invertible else "depends on the scan"
            raise ValueError(f"IntensityScaling: the value {value:g} {reason} under {self}.")
        return scaled

    def record(self) -> dict[str, Any]:
        """The arguments as plain values, for checkpoints."""
        return asdict(self)


class _IntensityTransform(MapTransform):
    def __init__(self, keys: KeysCollection, intensity: IntensityScaling, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.intensity = intensity


class ScaleScanIntensityd(_IntensityTransform):
    """Dictionary transform that scales each channel of each scan of `keys` by an `IntensityScaling`.

    Args:
        keys: keys of the scans, arrays or tensors ``(C, …)``.
        intensity: the scaling.
        allow_missing_keys: ignore missing keys.

    Raises:
        ScanError: the percentiles of a scan are equal, or its standard deviation is 0.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the scans of `data`."""
        scaled = dict(data)
        for key in self.key_iterator(scaled):
            image = scaled[key]
            try:
                channels = [torch.as_tensor(self.intensity(channel)) for channel in image]
            except ValueError as error:
                file = getattr(image, "meta", {}).get("filename_or_obj", str(key))
                raise ScanError(file, f"it cannot be scaled: {error}.", "Leave it out or use mode 'window'.") from error
            scaled[key] = convert_to_dst_type(torch.stack(channels), image, dtype=torch.float32)[0]
        return scaled


class RestoreScanIntensityd(_IntensityTransform):
    """Dictionary transform that converts scaled scans back to their unit (HU for CT).

    Scans do not change if the scaling depends on the scan.

    Args:
        keys: keys of the scans, arrays or tensors of any shape.
        intensity: the scaling.
        allow_missing_keys: ignore missing keys.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the scans of `data`."""
        restored = dict(data)
        if self.intensity.is_invertible:
            for key in self.key_iterator(restored):
                restored[key] = self.intensity.invert(restored[key])
        return restored
