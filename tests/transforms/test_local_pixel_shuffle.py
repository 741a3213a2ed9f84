"""Figures: measured on the published code, 64 × 64 × 32 cubes (fraction changed 78.5 %, sd 0.4 %; displacements)."""

from collections import Counter, defaultdict
from itertools import permutations, product

import numpy as np
import pytest
from models_genesis_bundle.transforms import RandLocalPixelShuffle
from scipy import stats


def displacements(axis, shape=(64, 64, 32), seeds=12):
    """Histogram of where along an axis the voxels of a shuffled cube come from."""
    ramp = np.broadcast_to(
        np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)]), shape
    )[None]
    moved = [RandLocalPixelShuffle(1.0).set_random_state(seed)(ramp) - ramp for seed in range(seeds)]
    values, counts = np.unique(np.concatenate(moved).astype(int), return_counts=True)
    return dict(zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True))


def test_share_of_changed_voxels():
    cube = np.arange(64 * 64 * 32, dtype=np.float32).reshape(1, 64, 64, 32)
    changed = [(RandLocalPixelShuffle(1.0).set_random_state(seed)(cube) != cube).mean() for seed in range(20)]
    assert np.mean(changed) == pytest.approx(0.785, abs=0.004)
    assert np.std(changed) == pytest.approx(0.004, abs=0.003)


@pytest.mark.parametrize(
    ("axis", "shares"), [(0, [0.416, 0.138, 0.082, 0.045, 0.021, 0.007]), (2, [0.592, 0.159, 0.045])]
)
def test_displacements(axis, shares):
    """By the distance along an axis, alike in both directions."""
    found = displacements(axis)
    for distance, share in enumerate(shares):
        for sign in (1, -1):
            assert found[sign * distance] == pytest.approx(share, abs=0.004), distance
    assert max(found) == len(shares) - 1


def test_windows_are_read_from_the_undeformed_image():
    """However many windows, no voxel's value comes from farther than a window reaches."""
    assert max(displacements(0, shape=(40, 30, 20), seeds=2)) == 3


@pytest.mark.parametrize("windows", [1, 2])
def test_outcomes_have_the_shares_of_windows_that_overwrite_each_other(windows):
    """All outcomes on 3 voxels, by going through every size, place and order of windows that are written one after the other."""
    places = [(size, corner) for size in (1, 2, 3) for corner in range(4 - size)]
    image = np.arange(3)
    shares: dict[tuple[int, ...], float] = {(0, 1, 2): 1.0}
    for _ in range(windows):
        before, shares = shares, defaultdict(float)
        for (outcome, share), (size, corner) in product(before.items(), places):
            orders = list(permutations(image[corner : corner + size]))
            for order in orders:
                after = (*outcome[:corner], *map(int, order), *outcome[corner + size :])
                shares[after] += share / (3 * (4 - size) * len(orders))
    transform = RandLocalPixelShuffle(1.0, num_windows=windows, max_side=(1, 3)).set_random_state(0)
    found = Counter(tuple(transform(image.reshape(1, 1, 3))[0, 0].astype(int).tolist()) for _ in range(12000))
    assert set(found) <= set(shares)
    expected = [12000 * share for share in shares.values()]
    assert stats.chisquare([found[outcome] for outcome in shares], expected).pvalue > 1e-3


@pytest.mark.parametrize("side", [2, 3, 7, 16])
def test_every_voxel_of_a_window_is_as_likely_in_every_place(side):
    """One window, of which every channel has a permutation of its own; chi-square over (place, voxel) and over whole orders."""
    image = np.broadcast_to(np.arange(20, dtype=np.float32), (4000, 1, 20))
    transform = RandLocalPixelShuffle(1.0, num_windows=1, max_side=(1, side), share_channels=False)
    for seed in range(100):  # until the window, which is what moved in some channel, has the largest size
        shuffled = transform.set_random_state(seed)(image)[:, 0]
        window = np.flatnonzero((shuffled != image[:, 0]).any(axis=0))
        if len(window) == side:
            break
    assert len(window) == side
    orders = shuffled[:, window] - window[0]
    assert np.array_equal(np.sort(orders), np.broadcast_to(np.arange(side), orders.shape)), "permutations"
    for place in range(side):
        counts = np.bincount(orders[:, place].astype(int), minlength=side)
        assert stats.chisquare(counts).pvalue > 1e-4, place
    if side <= 3:
        assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-4


def test_channels_share_the_permutation_or_not():
    image = np.random.default_rng(0).random((1, 20, 20, 20), dtype=np.float32)
    both = np.concatenate([image, image + 1])
    shared = RandLocalPixelShuffle(1.0).set_random_state(1)(both)
    assert np.allclose(shared[1], shared[0] + 1)
    own = RandLocalPixelShuffle(1.0, share_channels=False).set_random_state(1)(both)
    assert not np.allclose(own[1], own[0] + 1)
    assert own[1].min() >= 1


def test_sides_below_ten_are_allowed():
    image = np.random.default_rng(0).random((1, 64, 64, 5), dtype=np.float32)
    shuffled = RandLocalPixelShuffle(1.0).set_random_state(0)(image)
    for z in range(5):
        assert set(shuffled[..., z].ravel()) <= set(image[..., z].ravel())


@pytest.mark.parametrize("arguments", [{"num_windows": 0}, {"max_side": 0}, {"max_side": (2, 0)}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="RandLocalPixelShuffle"):
        RandLocalPixelShuffle(**arguments)


def test_windows_larger_than_the_image_are_refused_before_any_draw():
    with pytest.raises(ValueError, match="do not fit"):
        RandLocalPixelShuffle(1.0, max_side=9)(np.zeros((1, 8, 20), dtype=np.float32))
