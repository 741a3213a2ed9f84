"""The metric that the Models Genesis papers call "IoU"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["THRESHOLDS", "thresholded_mean_iou"]

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def thresholded_mean_iou(
    probability: torch.Tensor | np.ndarray, label: torch.Tensor | np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> float:
    """The mean over thresholds of the mean IoU of two classes, foreground **and background**.

    This is what the Models Genesis papers call IoU. **It is not foreground IoU**, and always looks better where the
    foreground is small, since most of the background is easy: one published run has a foreground IoU of 59.2 %, and
    77.1 % by this metric on the same scans. Compare it only with metrics of the same definition.

    At each threshold a voxel is foreground when its probability is above it. The two classes' IoUs are averaged; a class
    that neither the label nor the prediction has is left out of that average.

    Based on: Zhou et al., Models Genesis, Medical Image Analysis 67 (2021), 101840, doi:10.1016/j.media.2020.101840.

    Args:
        probability: of the foreground, 0 … 1, any shape.
        label: the same shape; everything but 0 is foreground.
        thresholds: ascending; those of the papers are 0.50, 0.55 … 0.95.

    Returns:
        0 … 1, or NaN when there is no foreground in the label and no probability above the lowest threshold.

    Raises:
        ValueError: when the shapes differ.

    Examples:
        >>> from models_genesis_bundle.metrics import thresholded_mean_iou
        >>> label = torch.tensor([[[0, 0, 1, 1]]])
        >>> thresholded_mean_iou(label.float(), label)
        1.0
    """
    probability = torch.as_tensor(probability, dtype=torch.float32).flatten().contiguous()
    foreground = torch.as_tensor(label).flatten() != 0
    if probability.shape != foreground.shape:
        raise ValueError(
            f"thresholded_mean_iou: expected a probability for each voxel of the label, found {len(probability)} "
            f"probabilities and {len(foreground)} voxels."
        )
    levels = torch.tensor(thresholds, dtype=torch.float32, device=probability.device)
    passed = torch.bucketize(probability, levels)
    inside = _counts_above(passed[foreground], len(levels))
    outside = _counts_above(passed[~foreground], len(levels))
    size = int(foreground.sum())
    if size + outside[0] == 0:
        return float("nan")
    background = len(foreground) - size
    with np.errstate(invalid="ignore"):
        foreground_iou = inside / (size + outside)
        background_iou = (background - outside) / (background + size - inside)
    return float(np.nanmean([foreground_iou, background_iou], axis=0).mean())


def _counts_above(passed: torch.Tensor, levels: int) -> np.ndarray:
    """How many voxels passed each level, given how many levels each voxel passed."""
    counts = torch.bincount(passed, minlength=levels + 1).cpu().numpy()
    return counts[::-1].cumsum()[::-1][1:]
