import math

import numpy as np
import pytest
import torch
from models_genesis_bundle.metrics import thresholded_mean_iou
from models_genesis_bundle.metrics.thresholded_mean_iou import THRESHOLDS


def plain(probability, label):
    """The definition, a threshold and a class at a time."""
    means = []
    for threshold in THRESHOLDS:
        ious = []
        for wanted in (True, False):
            predicted, true = (probability > threshold) == wanted, (label != 0) == wanted
            if (predicted | true).any():
                ious.append((predicted & true).sum() / (predicted | true).sum())
        means.append(np.mean(ious))
    return np.mean(means)


def test_by_hand():
    # Six voxels, two of them labelled with probabilities 0.9 and 0.6; one unlabelled voxel has 0.7.
    # 0.50, 0.55: foreground 2/3, background 3/4. 0.60, 0.65: 0.6 is lost: 1/3 and 3/5. 0.70 ... 0.85: 1/2 and 4/5.
    # 0.90, 0.95: all lost: 0 and 4/6.
    probability = torch.tensor([0.9, 0.6, 0.7, 0.1, 0.2, 0.0])
    label = torch.tensor([1, 1, 0, 0, 0, 0])
    wanted = (2 * (2 / 3 + 3 / 4) + 2 * (1 / 3 + 3 / 5) + 4 * (1 / 2 + 4 / 5) + 2 * (0 + 4 / 6)) / 2 / 10
    assert thresholded_mean_iou(probability, label) == pytest.approx(wanted)


def test_as_defined_on_any_volume():
    random = np.random.default_rng(0)
    label = random.random((8, 9, 10)) < 0.2
    probability = (0.6 * label + 0.5 * random.random(label.shape)).astype(np.float32)
    assert thresholded_mean_iou(probability, label) == pytest.approx(plain(probability, label))


def test_it_is_no_foreground_iou():
    # A quarter of a small foreground is found: the foreground IoU is 0.25, the easy background lifts this figure.
    label = np.zeros(1000)
    label[:8] = 1
    assert thresholded_mean_iou((np.arange(1000) < 2) * 1.0, label) == pytest.approx((0.25 + 992 / 998) / 2)


def test_empty_cases():
    nothing = np.zeros(10)
    assert math.isnan(thresholded_mean_iou(nothing, nothing))
    found = nothing + np.array([0.6] + 9 * [0])  # 0.50, 0.55: foreground 0, background 9/10; above: background alone, 1
    assert thresholded_mean_iou(found, nothing) == pytest.approx((2 * 0.45 + 8 * 1) / 10)
    assert thresholded_mean_iou(nothing + 1, nothing + 1) == 1
    with pytest.raises(ValueError, match="10 probabilities and 9 voxels"):
        thresholded_mean_iou(nothing, nothing[1:])
