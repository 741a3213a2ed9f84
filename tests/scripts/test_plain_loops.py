"""The plain loops are a fair rival only when they do the same work: same shares of voxels, same sizes of windows."""

import numpy as np
import pytest
import torch
from benchmarks import plain_loops
from models_genesis_bundle.transforms import RandInPainting, RandLocalPixelShuffle, RandOutPainting

CUBE = np.full((1, 64, 64, 32), 2.0, dtype=np.float32)  # outside of the range, so that noise never equals it
NUMBERED = np.arange(CUBE.size, dtype=np.float32).reshape(CUBE.shape)


def test_shuffle_moves_the_same_share_of_voxels():
    rng = np.random.default_rng(0)
    plain = [(plain_loops.shuffle(NUMBERED, rng) != NUMBERED).mean() for _ in range(2)]
    ours = RandLocalPixelShuffle(1.0).set_random_state(0)
    compiled = [(ours(NUMBERED) != NUMBERED).mean() for _ in range(2)]
    assert np.mean(plain) == pytest.approx(np.mean(compiled), abs=0.01)
    assert np.mean(plain) == pytest.approx(0.785, abs=0.01)


def test_shuffle_takes_voxels_from_within_the_largest_window():
    shuffled = plain_loops.shuffle(NUMBERED, np.random.default_rng(1))
    moved = np.array(np.unravel_index(shuffled.astype(int).ravel(), CUBE.shape)).T
    home = np.array(np.unravel_index(NUMBERED.astype(int).ravel(), CUBE.shape)).T
    assert np.abs(moved - home).max(axis=0).tolist() == [0, 5, 5, 2]


@pytest.mark.parametrize(
    ("plain", "ours", "share"),
    [(plain_loops.in_paint, RandInPainting, 0.944), (plain_loops.out_paint, RandOutPainting, 0.316)],
)
def test_painting_keeps_the_same_share_of_voxels(plain, ours, share):
    rng = np.random.default_rng(0)
    transform = ours(1.0).set_random_state(0)
    kept = [(plain(CUBE, rng) == 2).mean() for _ in range(300)]
    assert np.mean(kept) == pytest.approx(np.mean([(transform(CUBE) == 2).mean() for _ in range(300)]), abs=0.015)
    assert np.mean(kept) == pytest.approx(share, abs=0.015)


def test_half_of_the_intensity_maps_decrease_and_ends_map_to_ends():
    ramp = np.linspace(0, 1, 101, dtype=np.float32)
    rng = np.random.default_rng(0)
    ends = np.array([plain_loops.bend_intensities(ramp, rng)[[0, -1]] for _ in range(400)])
    np.testing.assert_allclose(ends.sum(axis=1), 1, atol=1e-6)
    assert ends[:, 0].mean() == pytest.approx(0.5, abs=0.08)


def test_a_pair_keeps_its_target_clean():
    cube = np.random.default_rng(0).random(CUBE.shape, dtype=np.float32)
    before = cube.copy()
    pair = plain_loops.genesis_pair(cube, np.random.default_rng(3))
    np.testing.assert_array_equal(cube, before)
    assert pair["image"].dtype is torch.float32
    assert not torch.equal(pair["image"], pair["label"])
    np.testing.assert_array_equal(np.sort(pair["label"].numpy().ravel()), np.sort(before.ravel()))
