"""The metrics of a single segmented case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice
from monai.utils import convert_to_tensor

ROUNDING = 1e-3
FLOAT32_DIGITS = 6
CLASS_METRICS = ("dice", "foreground_iou", "hd95_mm", "surface_dice")  # of each class, with a mean over the classes
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def segmentation_scores(
    probabilities: torch.Tensor | np.ndarray,
    label: torch.Tensor | np.ndarray,
    label_names: Sequence[str],
    spacing: Sequence[float],
    tolerance_mm: float = 1.0,
) -> dict[str, float]:
    """Score the segmentation of one case against its label.

    The predicted class of a voxel is its most probable one. Each foreground class has

    ====================  ===================================================================================
    ``dice_…``            Dice coefficient, 0 … 1
    ``foreground_iou_…``  intersection over union, 0 … 1
    ``hd95_mm_…``         95th percentile of the distances between the two surfaces, the larger direction, mm
    ``surface_dice_…``    fraction of the two surfaces within ``tolerance_mm`` of the other, 0 … 1
    ====================  ===================================================================================

    and each of these has its mean over the classes, ``dice_mean`` and so on. `thresholded_mean_iou` is computed for all
    foreground together and, with several classes, for each class, ``thresholded_mean_iou_…``.

    The scores of a class that neither label nor prediction contains are NaN; exclude them from means. A class that only one of
    them contains has Dice, IoU and surface Dice 0, and a distance of NaN.

    Based on: MONAI's metrics; the surface Dice (Nikolov et al., doi:10.2196/26151) weights surface elements by their area.

    Args:
        probabilities: (N, X, Y[, Z]), 0 … 1; channel 0 is the background.
        label: (1, X, Y[, Z]) or (X, Y[, Z]), the classes' numbers 0 … N − 1.
        label_names: the N − 1 foreground classes' names, in order.
        spacing: sides of a voxel in mm, along X, Y[, Z].
        tolerance_mm: tolerance of the surface Dice, in mm.

    Returns:
        The metrics by name.

    Raises:
        ValueError: when shapes, names, classes or spacing do not fit, or the probabilities are not within 0 … 1.

    Examples:
        >>> label = torch.zeros(1, 16, 16, 16, dtype=torch.long)
        >>> label[:, 4:12, 4:12, 4:12] = 1
        >>> probabilities = torch.cat([label == 0, label == 1]).float()  # a perfect segmentation
        >>> scores = segmentation_scores(probabilities, label, ["nodule"], spacing=(1.0, 1.0, 2.0))
        >>> scores["dice_nodule"], scores["hd95_mm_nodule"]
        (1.0, 0.0)
    """
    probabilities = convert_to_tensor(probabilities, dtype=torch.float32, track_meta=False)
    label = convert_to_tensor(label, track_meta=False, device=probabilities.device)
    label = label[0] if label.ndim == probabilities.ndim and len(label) == 1 else label
    _require_fitting(probabilities, label, label_names, spacing)
    label = label.long()
    predicted = probabilities.argmax(dim=0)
    by_class = [
        _class_scores(predicted == number, label == number, spacing, tolerance_mm)
        for number in range(1, len(probabilities))
    ]
    scores = {
        f"{metric}_{name}": value
        for name, found in zip(label_names, by_class, strict=True)
        for metric, value in found.items()
    }
    for metric in CLASS_METRICS:
        of_classes = torch.tensor([found[metric] for found in by_class], dtype=torch.float64)
        scores[f"{metric}_mean"] = of_classes.nanmean().item()
    scores["thresholded_mean_iou"] = thresholded_mean_iou(probabilities[1:].sum(dim=0), label)
    if len(label_names) > 1:
        for number, name in enumerate(label_names, start=1):
            scores[f"thresholded_mean_iou_{name}"] = thresholded_mean_iou(probabilities[number], label == number)
    return scores


def require_label_names(label_names: Sequence[str]) -> None:
    """Raise a ``ValueError`` for names of foreground classes that would give two metrics the same name."""
    names = [] if isinstance(label_names, str) else list(label_names)
    if not all(names) or not names or len(set(names)) < len(names) or "mean" in names:
        raise ValueError(
            "label_names: expected a name for each foreground class, all different and none of them 'mean', "
            f"found {label_names!r}."
        )


def _require_fitting(
    probabilities: torch.Tensor, label: torch.Tensor, label_names: Sequence[str], spacing: Sequence[float]
) -> None:
    require_label_names(label_names)
    classes, *shape = probabilities.shape
    low, high = float(probabilities.min()), float(probabilities.max())
    message = ""
    if classes != len(label_names) + 1:
        message = (
            f"{len(label_names) + 1} channels of probabilities, the background and {', '.join(label_names)}, found "
            f"{classes}. label_names must not include the background."
        )
    elif list(label.shape) != shape or len(spacing) != len(shape):
        message = (
            f"a label and a spacing that fit probabilities of {tuple(shape)} voxels, found a label of "
            f"{tuple(label.shape)} voxels and a spacing of {len(spacing)} numbers."
        )
    elif label.min() < 0 or label.max() >= classes:
        message = f"classes 0 … {classes - 1} in the label, found {label.min()} … {label.max()}."
    elif not (low >= -ROUNDING and high <= 1 + ROUNDING):
        message = f"probabilities 0 … 1, found {low:.4g} … {high:.4g}. Put a softmax into the postprocessing."
    if message:
        raise ValueError(f"segmentation_scores: expected {message}")


def _class_scores(
    predicted: torch.Tensor, labelled: torch.Tensor, spacing: Sequence[float], tolerance_mm: float
) -> dict[str, float]:
    if not (predicted.any() and labelled.any()):
        overlap = 0.0 if predicted.any() or labelled.any() else float("nan")
        return {"dice": overlap, "foreground_iou": overlap, "hd95_mm": float("nan"), "surface_dice": overlap}
    pair = {"y_pred": predicted[None, None], "y": labelled[None, None], "include_background": True}
    surfaces = pair | {"spacing": [float(side) for side in spacing]}
    scores = {
        "dice": compute_dice(**pair, num_classes=1),
        "foreground_iou": compute_iou(**pair),
        "hd95_mm": compute_hausdorff_distance(**surfaces, percentile=95),
        "surface_dice": compute_surface_dice(**surfaces, class_thresholds=[tolerance_mm], use_subvoxels=True),
    }
    return {name: round(score.item(), FLOAT32_DIGITS) for name, score in scores.items()}


def thresholded_mean_iou(
    probability: torch.Tensor | np.ndarray, label: torch.Tensor | np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> float:
    """The mean over thresholds of the mean IoU of two classes, foreground **and background**.

    This is what the Models Genesis papers call IoU. **It is not foreground IoU**, and is always higher where the foreground is
    small, because most of the background is easy: one published run has a foreground IoU of 59.2 %, and 77.1 % by this metric on
    the same scans. Compare it only with metrics of the same definition.

    At each threshold, voxels with a higher probability are foreground. A class in neither label nor prediction is not averaged.

    Based on: Zhou et al., Models Genesis, Medical Image Analysis 67 (2021), 101840, doi:10.1016/j.media.2020.101840.

    Args:
        probability: probability of the foreground, 0 … 1, any shape.
        label: the same shape; everything but 0 is foreground.
        thresholds: ascending; by default those of the papers, 0.50, 0.55 … 0.95.

    Returns:
        0 … 1, or NaN when there is no foreground in the label and no probability above the lowest threshold.

    Raises:
        ValueError: when the shapes differ.

    Examples:
        >>> label = torch.tensor([[[0, 0, 1, 1]]])
        >>> thresholded_mean_iou(label.float(), label)
        1.0
    """
    probability = torch.as_tensor(probability, dtype=torch.float32).flatten()
    foreground = torch.as_tensor(label).flatten() != 0
    if probability.shape != foreground.shape:
        raise ValueError(
            f"thresholded_mean_iou: expected a probability for each voxel of the label, found {len(probability)} "
            f"probabilities and {len(foreground)} voxels."
        )
    inside, outside = (
        np.array([int((voxels > threshold).sum()) for threshold in thresholds])
        for voxels in (probability[foreground], probability[~foreground])
    )
    size = int(foreground.sum())
    if size + outside[0] == 0:
        return float("nan")
    background = len(foreground) - size
    with np.errstate(invalid="ignore"):
        foreground_iou = inside / (size + outside)
        background_iou = (background - outside) / (background + size - inside)
    return float(np.nanmean([foreground_iou, background_iou], axis=0).mean())
