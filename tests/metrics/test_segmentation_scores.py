import math

import numpy as np
import pytest
import torch
from models_genesis_bundle.metrics import segmentation_scores, thresholded_mean_iou
from models_genesis_bundle.metrics.segmentation_scores import THRESHOLDS

pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")


def one_hot(label, classes):
    return torch.nn.functional.one_hot(torch.as_tensor(label).long(), classes).movedim(-1, 0).float()


def test_by_hand():
    # The label is two single voxels, 5 voxels or 10 mm apart; only one of them is found.
    label = np.zeros((9, 5, 5), dtype=int)
    label[1, 2, 2] = label[6, 2, 2] = 1
    predicted = label.copy()
    predicted[6, 2, 2] = 0
    scores = segmentation_scores(one_hot(predicted, 2), label[None], ["nodule"], [2.0, 1, 1])
    assert scores["dice_nodule"] == pytest.approx(2 / 3, abs=1e-6)
    assert scores["foreground_iou_nodule"] == 0.5
    assert scores["hd95_mm_nodule"] == pytest.approx(9.5)  # of the distances 0 and 10 mm, between their ends
    assert scores["surface_dice_nodule"] == pytest.approx(2 / 3, abs=1e-6)  # of three equal surfaces one has no partner
    assert scores["thresholded_mean_iou"] == pytest.approx((0.5 + 223 / 224) / 2)
    assert {name: scores[f"{name}_mean"] for name in ("dice", "hd95_mm")} == {
        name: scores[f"{name}_nodule"] for name in ("dice", "hd95_mm")
    }


def test_tolerance_and_spacing_are_millimetres():
    label, predicted = np.zeros((2, 24, 12, 12), dtype=int)
    label[5:13, 3:9, 3:9] = 1
    predicted[7:15, 3:9, 3:9] = 1  # two voxels further along X

    def score(width, tolerance):
        return segmentation_scores(one_hot(predicted, 2), label, ["a"], [width, 1.0, 1.0], tolerance)

    assert score(1.5, 1)["hd95_mm_a"] == pytest.approx(3)
    assert score(1.5, 3)["surface_dice_a"] == 1
    assert score(1.5, 2.9)["surface_dice_a"] < 1
    assert score(1.0, 2)["surface_dice_a"] == 1


@pytest.mark.parametrize("shape", [(12, 12, 12), (12, 12)])
def test_classes_and_their_means(shape):
    label = np.zeros(shape, dtype=int)
    label[2:6], label[7:10] = 1, 2
    predicted = label.copy()
    predicted[5] = 0
    scores = segmentation_scores(one_hot(predicted, 3), label[None], ["lung", "heart"], [1.0] * len(shape))
    assert scores["dice_lung"] == pytest.approx(6 / 7, abs=1e-6)
    assert scores["foreground_iou_lung"] == 0.75
    assert scores["dice_heart"] == scores["surface_dice_heart"] == 1
    assert scores["dice_mean"] == pytest.approx((6 / 7 + 1) / 2, abs=1e-6)
    assert scores["hd95_mm_mean"] == scores["hd95_mm_lung"] / 2
    assert scores["thresholded_mean_iou_lung"] == pytest.approx((3 / 4 + 8 / 9) / 2)
    assert scores["thresholded_mean_iou"] == pytest.approx((6 / 7 + 5 / 6) / 2)


def test_empty_cases():
    nothing = np.zeros((6, 6, 6), dtype=int)
    something = nothing.copy()
    something[2:4, 2:4, 2:4] = 1
    both = segmentation_scores(one_hot(nothing, 2), nothing, ["a"], [1.0] * 3)
    assert all(math.isnan(score) for score in both.values())
    for label, predicted in ((something, nothing), (nothing, something)):
        scores = segmentation_scores(one_hot(predicted, 2), label, ["a"], [1.0] * 3)
        assert scores["dice_a"] == scores["foreground_iou_a"] == scores["surface_dice_a"] == scores["dice_mean"] == 0
        assert math.isnan(scores["hd95_mm_a"])
    # A class that neither has is left out of the mean over classes.
    scores = segmentation_scores(one_hot(something, 3), something, ["a", "b"], [1.0] * 3)
    assert scores["dice_mean"] == scores["dice_a"] == 1
    assert math.isnan(scores["dice_b"])


def test_what_does_not_fit_is_refused():
    label = np.zeros((4, 4, 4), dtype=int)
    good = one_hot(label, 2)
    for probabilities, labels, names, spacing, message in (
        (good, label, ["background", "a"], [1.0] * 3, "label_names must not include the background"),
        (good, label[1:], ["a"], [1.0] * 3, "a label of .3, 4, 4. voxels"),
        (good, label, ["a"], [1.0] * 2, "a spacing of 2 numbers"),
        (good, label + 2, ["a"], [1.0] * 3, r"classes 0 … 1 in the label, found 2 … 2"),
        (good * 9 - 4, label, ["a"], [1.0] * 3, r"probabilities 0 … 1, found -4 … 5.*softmax"),
        (good * float("nan"), label, ["a"], [1.0] * 3, "found nan"),
        (good, label, ["mean"], [1.0] * 3, "none of them 'mean'"),
    ):
        with pytest.raises(ValueError, match=message):
            segmentation_scores(probabilities, labels, names, spacing)


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


def test_thresholded_mean_iou_by_hand():
    # Six voxels, two of them labelled with probabilities 0.9 and 0.6; one unlabelled voxel has 0.7.
    # 0.50, 0.55: foreground 2/3, background 3/4. 0.60, 0.65: 0.6 is lost: 1/3 and 3/5. 0.70 ... 0.85: 1/2 and 4/5.
    # 0.90, 0.95: all lost: 0 and 4/6.
    probability = torch.tensor([0.9, 0.6, 0.7, 0.1, 0.2, 0.0])
    label = torch.tensor([1, 1, 0, 0, 0, 0])
    wanted = (2 * (2 / 3 + 3 / 4) + 2 * (1 / 3 + 3 / 5) + 4 * (1 / 2 + 4 / 5) + 2 * (0 + 4 / 6)) / 2 / 10
    assert thresholded_mean_iou(probability, label) == pytest.approx(wanted)


def test_thresholded_mean_iou_as_defined_on_any_volume():
    random = np.random.default_rng(0)
    label = random.random((8, 9, 10)) < 0.2
    probability = (0.6 * label + 0.5 * random.random(label.shape)).astype(np.float32)
    assert thresholded_mean_iou(probability, label) == pytest.approx(plain(probability, label))


def test_thresholded_mean_iou_of_empty_cases():
    nothing = np.zeros(10)
    assert math.isnan(thresholded_mean_iou(nothing, nothing))
    found = nothing + np.array([0.6] + 9 * [0])  # 0.50, 0.55: foreground 0, background 9/10; above: background alone, 1
    assert thresholded_mean_iou(found, nothing) == pytest.approx((2 * 0.45 + 8 * 1) / 10)
    assert thresholded_mean_iou(nothing + 1, nothing + 1) == 1
    with pytest.raises(ValueError, match="10 probabilities and 9 voxels"):
        thresholded_mean_iou(nothing, nothing[1:])
