"""A rough mask of the body in a CT or MR scan, fast enough to be made for every scan."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

__all__ = ["body_mask", "otsu_threshold"]

_LONGEST_SIDE = 128
_BINS = 256
_LEAST_SEPARABILITY = 0.7
_AIR_LEVEL = 0.08
_LEAST_COMPONENT = 0.1


def otsu_threshold(values: np.ndarray) -> tuple[float, float]:
    """The threshold that splits values into two classes of least variance.

    Args:
        values: array of any shape.

    Returns:
        The threshold and the separability, the share of the variance that lies between both classes: 0.64 for one
        normal distribution, 0.75 for a uniform one, near 1 for two narrow peaks; 0 when all values are equal.

    Based on: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979, 62–66.
    """
    counts, edges = np.histogram(values, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    share = counts / counts.sum()
    below = np.cumsum(share)[:-1]
    mean_below = np.cumsum(share * centres)[:-1]
    total_mean = float((share * centres).sum())
    variance = float((share * (centres - total_mean) ** 2).sum())
    if variance == 0:
        return float(centres[0]), 0.0
    weight = below * (1 - below)
    between = np.divide((total_mean * below - mean_below) ** 2, weight, out=np.zeros_like(weight), where=weight > 0)
    best = int(between.argmax())
    return float(edges[best + 1]), float(between[best] / variance)


def body_mask(scan: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Find the body in a scan at reduced resolution.

    The scan is averaged down to at most 128 voxels a side and split by Otsu's threshold. Components of a tenth of the
    largest or more are kept (two legs are, the couch is not); holes are filled slice by slice along the last axis, so
    that lungs count as body. Where the scan cuts through the lungs they are open to its border: a dark region whose
    median lies clearly above the scan's floor (by 8 % of the way to the mean of the bright class) counts as body, too.
    A scan without two classes, such as a crop from within an organ, is body throughout.

    Args:
        scan: ``(C, X, Y, Z)`` or ``(C, X, Y)``, the first channel is looked at; any unit, air darkest.

    Returns:
        The mask, ``(x, y, z)`` booleans, and how many voxels of the scan one voxel of the mask spans along each axis.
    """
    shape = scan.shape[1:]
    factors = tuple(-(-side // _LONGEST_SIDE) for side in shape)
    first = torch.as_tensor(np.ascontiguousarray(scan[:1], dtype=np.float32))
    pool = torch.nn.functional.avg_pool3d if len(shape) == 3 else torch.nn.functional.avg_pool2d
    reduced = pool(first, factors, stride=factors, ceil_mode=True, count_include_pad=False)[0].numpy()
    threshold, separability = otsu_threshold(reduced)
    if separability < _LEAST_SEPARABILITY:
        return np.ones(reduced.shape, dtype=bool), factors
    bright = _large_components(reduced >= threshold)
    mask = _fill_slices(bright)
    floor = float(reduced.min())
    air_limit = floor + _AIR_LEVEL * (float(reduced[bright].mean()) - floor)
    labels, count = ndimage.label(~mask)
    if count:
        medians = ndimage.median(reduced, labels, index=np.arange(1, count + 1))
        mask |= np.concatenate([[False], medians > air_limit])[labels]
    return mask, factors


def _large_components(mask: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep = sizes >= _LEAST_COMPONENT * sizes.max()
    keep[0] = False
    return keep[labels]


def _fill_slices(mask: np.ndarray) -> np.ndarray:
    if mask.ndim == 2:
        return ndimage.binary_fill_holes(mask)
    return np.stack([ndimage.binary_fill_holes(mask[..., z]) for z in range(mask.shape[-1])], axis=-1)
