"""Figures: measured on the published code, 64 × 64 × 32 cubes (replaced 5.6 % by in-painting, kept 31.6 % by out-painting)."""

import numpy as np
import pytest
from models_genesis_bundle.transforms import RandInPainting, RandOutPainting
from models_genesis_bundle.transforms.kernels import fill_noise

CUBE = np.full((1, 64, 64, 32), 2.0, dtype=np.float32)  # outside of the range, so that noise never equals it
both = pytest.mark.parametrize("painting", [RandInPainting, RandOutPainting])


def kept_shares(painting, count=600, **arguments):
    transform = painting(1.0, **arguments).set_random_state(0)
    return np.array([(transform(CUBE) == 2).mean() for _ in range(count)])


def test_replaced_by_in_painting():
    replaced = 1 - kept_shares(RandInPainting)
    assert replaced.mean() == pytest.approx(0.056, abs=0.004)


def test_kept_by_out_painting():
    kept = kept_shares(RandOutPainting)
    assert kept.mean() == pytest.approx(0.316, abs=0.01)
    assert kept.min() > 0.07
    assert kept.max() < 0.45


def test_number_of_windows():
    """In-painting stops before any window, out-painting not before the first; five at the most; stops 1 in 20."""
    counts = {}
    for painting in (RandInPainting, RandOutPainting):
        transform = painting(1.0).set_random_state(1)
        drawn = []
        for _ in range(3000):
            transform.randomize(CUBE)
            drawn.append(len(transform.corners))
        counts[painting] = np.bincount(drawn, minlength=6) / 3000
    stops = [0.05 * 0.95**n for n in range(5)]
    np.testing.assert_allclose(counts[RandInPainting], [*stops, 0.95**5], atol=0.03)
    np.testing.assert_allclose(counts[RandOutPainting], [0, *stops[:4], 0.95**4], atol=0.03)


@pytest.mark.parametrize(
    ("painting", "low", "high"),
    [(RandInPainting, (10, 10, 5), (21, 21, 10)), (RandOutPainting, (28, 28, 14), (37, 37, 19))],
)
def test_sides_and_places_reach_their_ends(painting, low, high):
    transform = painting(1.0).set_random_state(2)
    sizes, starts, ends = [], [], []
    for _ in range(1500):
        transform.randomize(CUBE)
        sizes.extend(transform.sizes)
        starts.extend(transform.corners)
        ends.extend(transform.corners + transform.sizes)
    assert tuple(np.min(sizes, axis=0)) == low
    assert tuple(np.max(sizes, axis=0)) == high
    assert tuple(np.min(starts, axis=0)) == (3, 3, 3)
    assert tuple(np.max(ends, axis=0)) == (61, 61, 29)


@both
def test_noise_is_uniform_in_the_range(painting):
    transform = painting(1.0, intensity_range=(-3.0, 1.0), stop_prob=0.0).set_random_state(0)
    noise = transform(CUBE)
    noise = noise[noise != 2]
    shares = np.histogram(noise, bins=10, range=(-3, 1))[0] / noise.size
    assert np.abs(shares - 0.1).max() < 0.01
    assert noise.min() >= -3
    assert noise.max() < 1
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.02


@pytest.mark.parametrize("voxels", [1, 2, 7, 1000])
def test_noise_fills_any_number_of_voxels(voxels):
    noise = np.full(voxels, -1, dtype=np.float32)
    fill_noise(noise, np.uint64(5), 0.0, 1.0)
    assert noise.min() >= 0
    assert len(np.unique(noise)) == voxels


@both
def test_constants_as_the_paper_says(painting):
    painted = painting(1.0, fill="constant").set_random_state(0)(CUBE)
    values = np.unique(painted[painted != 2])
    assert 1 <= len(values) <= 5
    assert (len(values) == 1) or painting is RandInPainting
    assert values.min() >= 0
    assert values.max() <= 1


@both
def test_kept_voxels_are_the_image_and_channels_share_the_windows(painting):
    image = np.random.default_rng(0).random((2, 30, 30, 30), dtype=np.float32) + 2
    painted = painting(1.0, stop_prob=0.0).set_random_state(0)(image)
    kept = painted >= 2
    assert np.array_equal(painted[kept], image[kept])
    assert np.array_equal(kept[0], kept[1])
    assert not np.array_equal(painted[0][~kept[0]], painted[1][~kept[1]])


@both
def test_too_small_a_side_is_named_at_every_first_use(painting):
    image = np.zeros((1, 64, 5), dtype=np.float32)
    for seed in range(20):
        with pytest.raises(ValueError, match=rf"{painting.__name__}: side 1 of the image has 5 voxels"):
            painting(1.0).set_random_state(seed)(image)


@both
@pytest.mark.parametrize(
    "arguments",
    [{"side_fractions": ((1, 2), (1, 3))}, {"margin": -1}, {"stop_prob": 2}, {"fill": "zeros"}, {"max_windows": 0}],
)
def test_bad_arguments(painting, arguments):
    with pytest.raises(ValueError, match=painting.__name__):
        painting(**arguments)
