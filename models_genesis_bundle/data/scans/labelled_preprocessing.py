"""The deterministic way from the files of a scan and its label map to a pair that lies voxel on voxel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from models_genesis_bundle.data.scans.load_label import LoadLabeld
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS, ScanPreprocessing
from models_genesis_bundle.data.scans.same_grid import affine_difference, shape_difference
from models_genesis_bundle.data.scans.scan_compose import ScanCompose, ScanError
from monai.data import MetaTensor
from monai.transforms import CastToTyped, MapTransform, Orientationd, Spacingd

__all__ = ["LabelledPreprocessing"]


class LabelledPreprocessing(ScanCompose):
    """Read a scan and its label map, bring the scan through a `ScanPreprocessing`, turn and resample the label alike.

    The label must lie on the scan's grid: the same shape, and no corner voxel further than a tenth of a voxel from the
    scan's. It is resampled by nearest neighbours.

    `monai.transforms.Invertd` takes a prediction back to the file's grid with ``transform=preprocessing``, the given
    `ScanPreprocessing`, or with this object.

    Args:
        preprocessing: the way of the scan; its ``keys`` must be the `image_key` alone.
        image_key: key that holds the path of the scan.
        label_key: key that holds the path of the label map.
        label_map: which label becomes which, see `LoadLabeld`.
        num_classes: number of classes with the background; other labels are refused.
        ignore_label_affine: take a label of the scan's shape as lying on it, whatever its affine says, for data whose
            label headers are known to be wrong.
        label_as_stored: leave the label on the grid of its file, where an evaluation takes the prediction.

    Attributes:
        label_map: as given, but with texts as keys, as a weight file keeps it.
        ignore_label_affine: as given.

    Shape:
        Result: ``image_key`` a float32 MetaTensor ``(C, X, Y, Z)``, ``label_key`` a uint8 MetaTensor ``(1, X, Y, Z)`` of the
        same affine, or as its file has it with `label_as_stored`; other keys pass through.

    Raises:
        ValueError: a `preprocessing` of other keys.
        ScanError: a scan or label that cannot be used, or that do not lie on each other; not wrapped into a
            `RuntimeError`.

    Examples:
        >>> from models_genesis_bundle.data import LabelledPreprocessing, ScanPreprocessing
        >>> pair = {"image": "phantoms/images/phantom_000.nii.gz", "label": "phantoms/labels/phantom_000.nii.gz"}
        >>> LabelledPreprocessing(ScanPreprocessing())(pair)["label"].unique().tolist()
        [0, 1, 2]
    """

    def __init__(
        self,
        preprocessing: ScanPreprocessing,
        image_key: str = "image",
        label_key: str = "label",
        label_map: Mapping[int, int] | None = None,
        num_classes: int | None = None,
        ignore_label_affine: bool = False,
        label_as_stored: bool = False,
    ) -> None:
        if tuple(preprocessing.keys) != (image_key,):
            raise ValueError(
                f"LabelledPreprocessing: the preprocessing must be that of the key {image_key!r}, it is of "
                f"{', '.join(map(str, preprocessing.keys))}."
            )
        self.label_map = None if label_map is None else {str(old): new for old, new in label_map.items()}
        self.ignore_label_affine = ignore_label_affine
        dims = preprocessing.spatial_dims
        load_scan, *further_steps = preprocessing.transforms
        steps: list[Any] = [
            load_scan,
            LoadLabeld(label_key, label_map, num_classes, dims),
            _LieOnImaged(label_key, image_key, ignore_label_affine),
            *further_steps,
        ]
        if preprocessing.orientation is not None and not label_as_stored:
            steps.append(Orientationd(label_key, axcodes=preprocessing.orientation, labels=RAS_LABELS[:dims]))
        if preprocessing.spacing is not None and not label_as_stored:
            steps.append(Spacingd(label_key, pixdim=preprocessing.spacing, mode="nearest"))
            steps.append(CastToTyped(label_key, dtype=torch.uint8))
        super().__init__(steps)


class _LieOnImaged(MapTransform):
    """Refuses a label map that was not drawn on the voxels of the image, and gives it the image's affine.

    Args:
        key: key of the label map as read.
        image_key: key of the image as read.
        ignore_affine: compare the shapes only.
    """

    def __init__(self, key: str, image_key: str, ignore_affine: bool) -> None:
        super().__init__(key)
        self.image_key, self.ignore_affine = image_key, ignore_affine

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        laid = dict(data)
        image, label = laid[self.image_key], laid[self.first_key(laid)]
        if found := shape_difference(label, image):
            self._refuse(label, image, found)
        if not self.ignore_affine and (found := affine_difference(label, image)):
            self._refuse(label, image, found, " If only its header is wrong, set ignore_label_affine.")
        label.affine = image.affine
        return laid

    def _refuse(self, label: MetaTensor, image: MetaTensor, found: str, hint: str = "") -> None:
        raise ScanError(
            label.meta["filename_or_obj"],
            f"{found} of its image {image.meta['filename_or_obj']}.",
            f"Check that they belong together; resample the label onto the image.{hint}",
        )
