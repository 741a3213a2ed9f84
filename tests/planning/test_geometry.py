"""Voxel and cube sizes, compared with values that were calculated by hand from the rules."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.planning.geometry import cube_sides, sides_after_resampling, target_spacing
from monai.data import MetaTensor
from monai.transforms import Spacing
from scan_facts import scan


def test_the_median_is_taken_along_each_axis():
    scans = [scan((512, 512, 200), (0.7, 0.7, z)) for z in (1.0, 1.25, 2.0)]
    spacing, reason = target_spacing(scans)
    assert spacing == [0.7, 0.7, 1.25]
    assert "Along each axis the scans have 0.7, 0.7, 1 to 2 mm." in reason


def test_a_coarse_axis_of_few_slices_takes_the_10th_percentile():
    """nnU-Net's example, cardiac cine MR: 1.5 mm in the plane, slices 5 to 10 mm apart."""
    gaps = [5.0, 5.0, *[10.0] * 9]
    spacing, reason = target_spacing([scan((256, 216, 9), (1.5, 1.5, gap)) for gap in gaps])
    assert spacing == [1.5, 1.5, 5.0]
    assert "10th percentile" in reason


@pytest.mark.parametrize(
    ("shape", "gaps", "expected"),
    [
        ((256, 256, 200), [2.0, 6.0, 6.0], 6.0),  # coarse, but many slices
        ((256, 256, 20), [2.0, 2.9, 2.9], 2.9),  # few slices, but not three times as coarse
        ((256, 256, 20), [0.5, *[6.0] * 4], 1.0),  # nothing finer than the other axes
    ],
)
def test_other_axes_keep_the_median_and_none_becomes_the_finest(shape, gaps, expected):
    gaps = gaps if len(gaps) != 5 else [0.5] * 2 + gaps[1:] * 2  # so that the 10th percentile is 0.5
    spacing, _ = target_spacing([scan(shape, (1.0, 1.0, gap)) for gap in gaps])
    assert spacing == [1.0, 1.0, expected]


def test_sides_are_those_that_the_resampling_gives():
    image = MetaTensor(torch.zeros(1, 28, 26, 12), affine=torch.diag(torch.tensor([1.0, 1.0, 5.0, 1.0])))
    for spacing in ([2.0, 1.0, 1.5], [4.0, 2.0, 1.0]):
        sides = sides_after_resampling([scan((28, 26, 12), (1.0, 1.0, 5.0))], spacing)
        assert tuple(sides[0]) == Spacing(spacing)(image).shape[1:]


def test_sides_without_resampling_are_those_of_the_scan():
    """With 317.99999999999994 voxels, a cube of 320, which the padding of two voxels allows, would be one of 312."""
    spacing = (3.52, 3.52, 3.52)
    assert (sides_after_resampling([scan((318, 318, 318), spacing)], spacing) == 318).all()


@pytest.mark.parametrize(
    ("limits", "spacing", "voxels", "divisor", "expected"),
    [
        ((300, 300, 300), (1.5, 1.5, 1.5), 48 * 48 * 24, 8, [40, 40, 40]),
        ((512, 512, 120), (0.7, 0.7, 2.5), 48 * 48 * 24, 8, [56, 56, 16]),
        ((512, 512, 30), (1.0, 1.0, 1.0), 64 * 64 * 32, 8, [64, 64, 32]),  # a cut side lets the others grow
        ((32, 46, 30), (1.0, 1.0, 1.0), 64 * 64 * 32, 8, [32, 48, 32]),  # two voxels may be padded
        ((35, 42, 5), (0.7, 0.7, 1.25), 64 * 64 * 32, 8, [32, 32, 16]),  # at least 16; equal where one step apart
        ((300, 300, 300), (1.0, 1.0, 1.2), 64 * 64 * 32, 8, [56, 56, 48]),  # one step apart, but of other spacing
        ((300, 300, 300), (1.0, 1.0, 1.0), 64**3, 32, [64, 64, 64]),
        ((100, 100, 20), (1.0, 1.0, 1.0), 64**3, 32, [96, 96, 32]),
        ((2000, 1500), (0.15, 0.15), 224 * 224, 8, [224, 224]),
    ],
)
def test_a_cube_spans_the_same_length_as_far_as_the_scans_reach(limits, spacing, voxels, divisor, expected):
    assert cube_sides(limits, spacing, voxels, divisor) == expected
