"""Preprocessing of a scan together with its label map."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.load_scan import LoadScand, grid_difference
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS, ScanCompose, ScanPreprocessing
from models_genesis_bundle.data.scans.raw_scan import ScanError
from models_genesis_bundle.messages import first_of
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import CastToTyped, MapLabelValue, Orientationd, Spacingd, Transform

_LARGEST = torch.iinfo(torch.uint8).max
_ROUNDING = 1e-3


class UnknownLabelsError(ScanError):
    """A label map has labels without a class, because the file or the settings are wrong."""


class LoadLabeld(LoadScand):
    """Dictionary transform that reads label maps of one channel, in the formats of `LoadScand`.

    A map may have no foreground. Values within 0.001 of a whole number are rounded, because a scale factor in the
    file can cause such differences.

    Args:
        keys: keys of the path of a file or of a folder with one DICOM series.
        label_map: new values of labels, such as ``{4: 3}``. All are mapped at once, so that labels can be swapped.
        num_classes: number of classes with the background, at most 256; labels must lie in 0 … num_classes - 1.
        spatial_dims: 3, or 2 for flat images.
        allow_missing_keys: ignore missing keys.

    Shape:
        A uint8 MetaTensor ``(1, X, Y, Z)`` or ``(1, X, Y)`` with its affine in RAS millimetres.

    Raises:
        ValueError: `label_map` or `num_classes` is out of range.
        ScanError: the file cannot be read (see `LoadScand`), or its values are not whole numbers from 0.
        UnknownLabelsError: after the mapping, the file has labels without a class or above 255.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_map: Mapping[int, int] | None = None,
        num_classes: int | None = None,
        spatial_dims: int = 3,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, spatial_dims, allow_constant=True, allow_missing_keys=allow_missing_keys)
        if num_classes is not None and not 2 <= num_classes <= _LARGEST + 1:
            raise ValueError(f"LoadLabeld: num_classes must lie in 2 … {_LARGEST + 1}, got {num_classes}.")
        self.label_map = _whole_numbers(label_map or {}, (_LARGEST + 1) if num_classes is None else num_classes)
        self.num_classes = num_classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths of `data` by the label maps."""
        loaded = super().__call__(data)
        for key in self.key_iterator(loaded):
            loaded[key] = self._checked(loaded[key], str(data[key]))
        return loaded

    def _checked(self, label: MetaTensor, file: str) -> MetaTensor:
        values, label = label.as_tensor(), label.round()
        odd = values[(label.as_tensor() < 0) | ((values - label.as_tensor()).abs() > _ROUNDING)]
        if odd.numel():
            remedy = "Check that it is the label and not the image, and that it was resampled with nearest-neighbour interpolation."
            raise ScanError(file, f"a label map must contain whole numbers from 0, found {_listed(odd)}.", remedy)
        if self.label_map:
            label = MapLabelValue(list(self.label_map), list(self.label_map.values()), dtype=torch.float32)(label)
        largest = _LARGEST if self.num_classes is None else self.num_classes - 1
        outside = label.as_tensor()[label.as_tensor() > largest]
        if outside.numel():
            wanted = "" if self.num_classes is None else f" for {self.num_classes} classes with the background"
            mapped = f" after label_map {self.label_map}" if self.label_map else ""
            found = f"labels{wanted} lie in 0 … {largest}, found {_listed(outside)}{mapped}."
            remedy = "If the file is the label map and not the image, map them with label_map"
            remedy += ", or name more classes (label_names, num_classes)." if wanted else "."
            raise UnknownLabelsError(file, found, remedy)
        return label.to(torch.uint8)


def _whole_numbers(label_map: Mapping[Any, Any], classes: int) -> dict[int, int]:
    mapping: dict[int, int] = {}
    for value, label in label_map.items():
        try:
            old, new = int(value), int(label)
        except (TypeError, ValueError):
            raise ValueError(f"LoadLabeld: label_map must map whole numbers, got {value!r}: {label!r}.") from None
        if old < 0 or not 0 <= new < classes:
            raise ValueError(
                f"LoadLabeld: label_map must map labels from 0 to classes 0 … {classes - 1}, got {value!r}: {label!r}."
            )
        if old != new:
            mapping[old] = new
    return mapping


def _listed(values: torch.Tensor) -> str:
    return first_of([np.format_float_positional(value, trim="-") for value in values.unique().numpy()])


class LabelledPreprocessing(ScanCompose):
    """Read a scan and its label map, and apply a `ScanPreprocessing`: orientation and spacing to both, intensity to the scan.

    The label must have the grid of the scan: the same shape, and corner voxels within a tenth of a voxel. It is resampled with
    nearest-neighbour interpolation. `monai.transforms.Invertd`, with `preprocessing` or this object as its ``transform``, maps a
    prediction back to the file's grid.

    Args:
        preprocessing: the steps for the scan; ``image`` must be its only key.
        label_map: new values of labels, see `LoadLabeld`.
        num_classes: number of classes with the background; other labels are refused.
        ignore_label_affine: whether to replace the label's affine by the scan's, for labels with wrong headers.
        label_as_stored: whether to keep the label on the grid of its file, as for an evaluation.

    Attributes:
        label_map: the argument with texts as keys, as in a weight file.
        ignore_label_affine: the argument.

    Shape:
        ``image``: a float32 MetaTensor ``(C, X, Y, Z)``; ``label``: a uint8 MetaTensor ``(1, X, Y, Z)`` on the same grid, or on
        that of its file with `label_as_stored`; other keys do not change.

    Raises:
        ValueError: `preprocessing` has other keys.
        ScanError: the scan or the label cannot be used, or their grids differ; not wrapped into a `RuntimeError`.

    Examples:
        >>> from models_genesis_bundle.data import LabelledPreprocessing, ScanPreprocessing
        >>> pair = {"image": "phantoms/images/phantom_000.nii.gz", "label": "phantoms/labels/phantom_000.nii.gz"}
        >>> LabelledPreprocessing(ScanPreprocessing())(pair)["label"].unique().tolist()
        [0, 1, 2]
    """

    def __init__(
        self,
        preprocessing: ScanPreprocessing,
        label_map: Mapping[int, int] | None = None,
        num_classes: int | None = None,
        ignore_label_affine: bool = False,
        label_as_stored: bool = False,
    ) -> None:
        if preprocessing.keys != ("image",):
            keys = ", ".join(map(str, preprocessing.keys))
            raise ValueError(
                f"LabelledPreprocessing: expected a preprocessing of the key 'image' alone, found the keys {keys}."
            )
        self.label_map = None if label_map is None else {str(old): new for old, new in label_map.items()}
        self.ignore_label_affine = ignore_label_affine
        dims = preprocessing.spatial_dims
        load_scan, *further_steps = preprocessing.transforms
        load_label = LoadLabeld("label", label_map, num_classes, dims)
        steps: list[Any] = [load_scan, load_label, _RequireSameGrid(ignore_label_affine), *further_steps]
        if preprocessing.orientation is not None and not label_as_stored:
            steps.append(Orientationd("label", axcodes=preprocessing.orientation, labels=RAS_LABELS[:dims]))
        if preprocessing.spacing is not None and not label_as_stored:
            steps.append(Spacingd("label", pixdim=preprocessing.spacing, mode="nearest"))
            steps.append(CastToTyped("label", dtype=torch.uint8))
        super().__init__(steps)


class _RequireSameGrid(Transform):
    """Refuses a label map on another grid than the image, and sets its affine to the image's."""

    def __init__(self, ignore_affine: bool) -> None:
        self.ignore_affine = ignore_affine

    def __call__(self, data: dict[Hashable, Any]) -> dict[Hashable, Any]:
        image, label = data["image"], data["label"]
        if found := grid_difference(label, image, self.ignore_affine):
            remedy = "Check that image and label belong together. If they do, resample the label to the image's grid."
            if label.shape[1:] == image.shape[1:]:
                remedy += " If only its header is wrong, set ignore_label_affine."
            found += f" of its image {image.meta['filename_or_obj']}."
            raise ScanError(label.meta["filename_or_obj"], found, remedy)
        label.affine = image.affine
        return data
