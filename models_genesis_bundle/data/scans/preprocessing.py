"""The preprocessing of scans, which is the same in pretraining, fine-tuning and inference."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from models_genesis_bundle.axes import for_each_axis
from models_genesis_bundle.data.scans.files import Channels, channel_count
from models_genesis_bundle.data.scans.intensity import IntensityScaling, ScaleScanIntensityd
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.quality import CT_IN_HU, ScanFacts, intensity_kind
from models_genesis_bundle.data.scans.raw_scan import MOST_VOXELS, ScanError, scan_error_in
from monai.config import KeysCollection
from monai.data.utils import affine_to_spacing
from monai.transforms import Compose, MapTransform, Orientationd, Spacingd
from monai.utils import ensure_tuple

logger = logging.getLogger(__name__)

NOT_IN_HU_KEY = "not_in_hu"  # in the metadata of a scan
RAS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))


class ScanCompose(Compose):
    """MONAI's `Compose`, which raises the `ScanError` of a step instead of a `RuntimeError` around it.

    Args:
        transforms: the steps. The steps of a nested `ScanCompose` are inserted, because ``CacheDataset`` treats a nested
            ``Compose`` as random.
    """

    def __init__(self, transforms: Sequence[Callable]) -> None:
        nested = [step.transforms if isinstance(step, ScanCompose) else (step,) for step in transforms]
        super().__init__(list(chain.from_iterable(nested)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the steps, as `Compose` does."""
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            cause = scan_error_in(error)
            if cause is None:
                raise
            raise cause from None


class ScanPreprocessing(ScanCompose):
    """Read a scan, change its orientation, resample it if a spacing is given, and scale its intensities.

    `monai.transforms.Invertd(transform=ScanPreprocessing(...))` maps a result back to the file's orientation, shape and affine;
    `IntensityScaling.invert` converts intensities back.

    Args:
        keys: keys of the paths of scans.
        intensity: the scaling; by default, a CT window from [-1000, 1000] HU to [0, 1].
        spacing: side of a voxel in millimetres after linear resampling, one number or one for each axis. None keeps the
            spacing of the scan, as in the paper.
        orientation: axis codes of the result; None keeps the orientation of the file.
        spatial_dims: 3, or 2 for flat images.
        volume: number of the volume in a file with several, see `LoadScand`.
        channels: number of a scan's channels, or their names in order; see `LoadScand`. Each channel is scaled separately.

    Attributes:
        num_channels: the number of channels.

    Shape:
        For each key, a float32 MetaTensor ``(C, X, Y, Z)`` within ``intensity.value_range``. If `intensity` is for HU and the
        scan does not look like CT in HU, ``meta["not_in_hu"]`` has the kind of its intensities, such as ``"MR"``.

    Raises:
        ValueError: the spacing is not above 0, the orientation does not name each axis once, or there is no channel.
        ScanError: a scan cannot be used; not wrapped into a `RuntimeError` like other errors in a `Compose`.

    Examples:
        >>> from models_genesis_bundle.data import ScanPreprocessing
        >>> ScanPreprocessing(spacing=6.0)({"image": "phantoms/images/phantom_000.nii.gz"})["image"].shape
        torch.Size([1, 53, 53, 48])
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        intensity: IntensityScaling | None = None,
        spacing: float | Sequence[float] | None = None,
        orientation: str | None = "RAS",
        spatial_dims: int = 3,
        volume: int | None = None,
        channels: Channels = 1,
    ) -> None:
        self.keys = ensure_tuple(keys)
        self.intensity = IntensityScaling() if intensity is None else intensity
        sides = None if spacing is None else for_each_axis(spacing, spatial_dims, "ScanPreprocessing: spacing")
        self.spacing = None if sides is None else tuple(map(float, sides))
        if self.spacing is not None and not all(side > 0 for side in self.spacing):
            raise ValueError(f"ScanPreprocessing: spacing must be above 0 mm, got {self.spacing}.")
        self.orientation = None if orientation is None else orientation[:spatial_dims]
        axes = [axis for code in self.orientation or "" for axis in range(spatial_dims) if code in RAS_LABELS[axis]]
        if self.orientation is not None and sorted(axes) != list(range(spatial_dims)):
            raise ValueError(
                "ScanPreprocessing: orientation must name one of L and R, of P and A"
                f"{', of I and S' * (spatial_dims - 2)}, such as {'RAS'[:spatial_dims]}, got {self.orientation!r}."
            )
        self.spatial_dims = spatial_dims
        self.volume = volume
        self.channels = channels if isinstance(channels, int) else [str(name) for name in channels]
        self.num_channels = channel_count(channels)
        steps: list[Callable] = [LoadScand(self.keys, spatial_dims, volume, channels=self.num_channels)]
        if self.intensity.is_for_hu:
            steps.append(_NoteOtherUnit(self.keys))
        if self.orientation is not None:
            steps.append(Orientationd(self.keys, axcodes=self.orientation, labels=RAS_LABELS[:spatial_dims]))
        if self.spacing is not None:
            steps.append(_RequireUsableSize(self.keys, self.spacing))
            steps.append(Spacingd(self.keys, pixdim=self.spacing, mode="bilinear"))
        super().__init__([*steps, ScaleScanIntensityd(self.keys, self.intensity)])

    def record(self) -> dict[str, Any]:
        """Plain values for JSON and checkpoints, which `from_record` turns back into the same steps."""
        return {
            "intensity": self.intensity.record(),
            "spacing": None if self.spacing is None else list(self.spacing),
            "orientation": self.orientation,
            "spatial_dims": self.spatial_dims,
            "volume": self.volume,
            **({} if self.channels == 1 else {"channels": self.channels}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], keys: KeysCollection = "image") -> ScanPreprocessing:
        """Build the steps from a `record`, for any keys; a `ValueError` if it cannot be understood."""
        try:
            settings = dict(record)
            return cls(keys=keys, intensity=IntensityScaling(**settings.pop("intensity")), **settings)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The weights have an invalid record of their preprocessing ({type(error).__name__}: {error}): "
                f"expected the entries {', '.join(cls().record())}, found {record}. Use weights that this version wrote, "
                "or train from scratch."
            ) from error


class _NoteOtherUnit(MapTransform):
    """Writes the kind of intensities into the metadata of a scan that does not look like CT in HU."""

    def __call__(self, data: Mapping[Hashable, Any]) -> Mapping[Hashable, Any]:
        for key in self.key_iterator(dict(data)):
            kind = intensity_kind(ScanFacts.of(data[key]))
            data[key].meta[NOT_IN_HU_KEY] = "" if kind == CT_IN_HU else kind
        return data


class _RequireUsableSize(MapTransform):
    """Refuses a scan that resampling would make flat or too large, for example because of a wrong unit in its header."""

    def __init__(self, keys: KeysCollection, spacing: Sequence[float]) -> None:
        super().__init__(keys)
        self.spacing = spacing

    def __call__(self, data: Mapping[Hashable, Any]) -> Mapping[Hashable, Any]:
        for key in self.key_iterator(dict(data)):
            image = data[key]
            spacing = affine_to_spacing(image.affine, r=len(self.spacing)).tolist()
            sides = resampled_shape(image.shape[1:], spacing, self.spacing)
            if 1 in sides or math.prod(sides) > MOST_VOXELS:
                was, becomes, shape = (
                    "×".join(f"{side:g}" for side in numbers) for numbers in (spacing, self.spacing, sides)
                )
                found = f"its voxels are {was} mm; resampled to {becomes} mm it has {shape} of them."
                remedy = "Check the unit and the spacing in its header, and scan_preprocessing::spacing."
                raise ScanError(image.meta["filename_or_obj"], found, remedy, "resampled_size")
        return data


def resampled_shape(shape: Sequence[float], old: Sequence[float], new: Sequence[float]) -> list[int]:
    """Voxels along each axis after MONAI's `Spacing`, from an `old` to a `new` spacing."""
    return np.round(np.subtract(shape, 1) * old / new + 1).astype(int).tolist()


def recorded_preprocessing(
    record: Mapping[str, Any] | None,
    intensity: IntensityScaling | str | None = None,
    spacing: float | Sequence[float] | str | None = None,
    orientation: str | None = None,
    volume: int | None = None,
    spatial_dims: int | None = None,
    channels: Channels | None = None,
) -> ScanPreprocessing:
    """The preprocessing of the key ``image`` that initial weights were trained with, changed by the other arguments.

    Pretrained weights are useful only for scans that are preprocessed as in the pretraining. Therefore the log warns of
    settings that differ from the record.

    Args:
        record: `ScanPreprocessing.record` from the weight file. With None, for training from scratch or weights without a
            record, the defaults of `ScanPreprocessing` are used.
        intensity: the scaling, or its mode (``"window"``, ``"percentile"``, ``"zscore"``) with the default limits.
        spacing: side of a voxel in millimetres, one number or one for each axis; ``"scan"`` keeps the spacing of the scan.
        orientation: axis codes such as ``"RAS"``; ``"scan"`` keeps the orientation of the file.
        volume: see `LoadScand`. With several channels, a recorded volume is ignored.
        spatial_dims: axes of a scan, 2 or 3.
        channels: number or names of a scan's channels, see `ScanPreprocessing`.

    Raises:
        ValueError: the record is invalid, or a setting is out of range.
    """
    recorded = ScanPreprocessing(spatial_dims=spatial_dims or 3)
    if record is not None:
        recorded = ScanPreprocessing.from_record(record)
    given = {
        "intensity": IntensityScaling(intensity) if isinstance(intensity, str) else intensity,
        "spacing": spacing,
        "orientation": orientation,
        "volume": volume,
        "spatial_dims": spatial_dims,
        "channels": channels,
    }
    settings: dict[str, Any] = {name: getattr(recorded, name) for name in given}
    settings |= {name: None if value == "scan" else value for name, value in given.items() if value is not None}
    if volume is None and channel_count(settings["channels"]) > 1:
        settings["volume"] = None
    chosen = ScanPreprocessing(**settings)
    if record is None:
        logger.info("Preprocessing, from settings and defaults, because no weights record it: %s", chosen.record())
        return chosen
    for name in ("intensity", "spacing", "orientation"):
        now, before = getattr(chosen, name), getattr(recorded, name)
        if now != before:
            now, before = ("the scan's own" if value is None else value for value in (now, before))
            message = "%s is %s, but the weights were pretrained with %s. They may be of little use for such input."
            logger.warning(message, name, now, before)
    logger.info("Preprocessing, as recorded with the weights, except for any warning above: %s", chosen.record())
    return chosen
