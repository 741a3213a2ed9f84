"""Reading of one label map, with every reason to refuse it said in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.scan_compose import ScanError
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapLabelValue, MapTransform

__all__ = ["LoadLabeld", "UnknownLabelsError"]

_LARGEST = torch.iinfo(torch.uint8).max
_NAMED_AT_MOST = 5
_ROUNDING = 1e-3


class UnknownLabelsError(ScanError):
    """A label map has labels that the settings know no class for; the settings may be wrong, and not the file."""


class LoadLabeld(MapTransform):
    """Dictionary transform that reads label maps of one channel.

    The formats are those of `LoadScand`. A map without foreground is no error. Values within 0.001 of a whole number, as a
    scale factor in the file leaves them, are rounded.

    Args:
        keys: keys that hold the path of a file, or of a folder with one DICOM series.
        label_map: which value becomes which, such as ``{4: 3}``; all at once, so that two values can be swapped. Values
            that it does not name stay.
        num_classes: number of classes with the background, at most 256; labels then lie in 0 … num_classes - 1.
        spatial_dims: 3, or 2 for flat images.
        allow_missing_keys: whether a missing key is no error.

    Shape:
        Result: a uint8 MetaTensor ``(1, X, Y, Z)`` or ``(1, X, Y)`` with its affine in RAS millimetres.

    Raises:
        ValueError: a label map or a number of classes out of range.
        ScanError: the file cannot be read (see `LoadScand`), or it holds values that are no whole numbers from 0.
        UnknownLabelsError: after the mapping it holds labels of no class or above 255.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_map: Mapping[int, int] | None = None,
        num_classes: int | None = None,
        spatial_dims: int = 3,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if num_classes is not None and not 2 <= num_classes <= _LARGEST + 1:
            raise ValueError(f"LoadLabeld: num_classes must lie in 2 … {_LARGEST + 1}, got {num_classes}.")
        self.label_map = _whole_numbers(label_map or {}, (_LARGEST + 1) if num_classes is None else num_classes)
        self.num_classes = num_classes
        self._load = LoadScand(self.keys, spatial_dims, allow_constant=True, allow_missing_keys=allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths of `data` by the label maps."""
        loaded = self._load(data)
        for key in self.key_iterator(loaded):
            loaded[key] = self._checked(loaded[key], str(data[key]))
        return loaded

    def _checked(self, label: MetaTensor, file: str) -> MetaTensor:
        values, label = label.as_tensor(), label.round()
        odd = values[(label.as_tensor() < 0) | ((values - label.as_tensor()).abs() > _ROUNDING)]
        if odd.numel():
            raise ScanError(
                file,
                f"a label map holds whole numbers from 0, found {_listed(odd)}.",
                "Check that it is the label and not the image, and that it was resampled with nearest neighbours.",
            )
        if self.label_map:
            label = MapLabelValue(list(self.label_map), list(self.label_map.values()), dtype=torch.float32)(label)
        largest = _LARGEST if self.num_classes is None else self.num_classes - 1
        outside = label.as_tensor()[label.as_tensor() > largest]
        if outside.numel():
            wanted = "" if self.num_classes is None else f" for {self.num_classes} classes"
            mapped = f" after label_map {self.label_map}" if self.label_map else ""
            raise UnknownLabelsError(
                file,
                f"labels{wanted} lie in 0 … {largest}, found {_listed(outside)}{mapped}.",
                "Map them to a class with label_map, or raise num_classes." if wanted else "Map them with label_map.",
            )
        return label.to(torch.uint8)


def _whole_numbers(label_map: Mapping[Any, Any], classes: int) -> dict[int, int]:
    mapping: dict[int, int] = {}
    for value, label in label_map.items():
        try:
            mapping[int(value)] = int(label)
        except (TypeError, ValueError):
            raise ValueError(f"LoadLabeld: label_map must map whole numbers, got {value!r}: {label!r}.") from None
        if int(value) < 0 or not 0 <= int(label) < classes:
            raise ValueError(
                f"LoadLabeld: label_map must map labels from 0 to classes 0 … {classes - 1}, got {value!r}: {label!r}."
            )
    return {value: label for value, label in mapping.items() if value != label}


def _listed(values: torch.Tensor) -> str:
    different = values.unique().numpy()
    more = f" … ({len(different)} values)" if len(different) > _NAMED_AT_MOST else ""
    return ", ".join(np.format_float_positional(value, trim="-") for value in different[:_NAMED_AT_MOST]) + more
