import json

import numpy as np
import pytest
from models_genesis_bundle.data import BodyRule, CubeSampler, IntensityScaling

SCALED = IntensityScaling("window", 0, 1)


class Recorder:
    """A rule that records the corners of all tested cubes, and accepts a cube by its corner."""

    def __init__(self, accepts):
        self.accepts, self.asked = accepts, []

    def prepare(self, scan, intensity):
        def test(cube):
            corner = tuple(side.start for side in cube)
            self.asked.append(corner)
            return self.accepts(corner)

        return test

    def record(self):
        return {"name": "Recorder"}


def sample(shape, count, sampler, seed=0):
    scan = np.zeros((1, *shape), dtype=np.float32)
    return sampler.sample(scan, SCALED, count, np.random.default_rng(seed))


def test_corners_differ_and_reach_exactly_as_far_as_the_margins_let_them():
    sampler = CubeSampler((6, 6, 4), margin=(5, 3, 2), rule=Recorder(lambda corner: True))
    corners = sample((20, 16, 12), 10_000, sampler)
    assert len(set(corners)) == len(corners) == 5 * 5 * 5, "every place once"
    assert np.min(corners, axis=0).tolist() == [5, 3, 2]
    assert np.max(corners, axis=0).tolist() == [20 - 5 - 6, 16 - 3 - 6, 12 - 2 - 4]
    assert sampler.cube_at((5, 3, 2)) == (slice(5, 11), slice(3, 9), slice(2, 6))


@pytest.mark.parametrize("count", [20, 90])
def test_accepted_places_are_equally_likely(count):
    """A hundred places, half of them accepted, drawn as a permutation (90) or by many single draws (20, 4 attempts)."""
    sampler = CubeSampler((1, 1), rule=Recorder(lambda corner: corner[0] % 2 == 0), max_attempts_per_cube=4)
    drawn = np.zeros((10, 10))
    for seed in range(400):
        corners = sample((10, 10), count, sampler, seed)
        assert len(corners) == len(set(corners))
        for corner in corners:
            drawn[corner] += 1
    assert not drawn[1::2].any()
    expected = drawn.sum() / 50
    assert np.abs(drawn[::2] / expected - 1).max() < 6 / np.sqrt(expected)


def test_the_draws_follow_from_the_generator():
    sampler = CubeSampler((8, 8, 8), rule=BodyRule(0))
    drawn = [sample((30, 30, 30), 20, sampler, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len(set(drawn[0])) == 20


def test_a_scan_is_given_up_after_the_attempts():
    rule = Recorder(lambda corner: False)
    assert sample((40, 40, 40), 3, CubeSampler((8, 8, 8), rule=rule)) == []
    assert 100 < len(rule.asked) <= 3 * 50
    assert len(set(rule.asked)) == len(rule.asked), "no place is tried twice"


def test_it_stops_asking_when_it_has_enough():
    rule = Recorder(lambda corner: True)
    assert len(sample((40, 40, 40), 3, CubeSampler((8, 8, 8), rule=rule))) == 3
    assert len(rule.asked) == 3


@pytest.mark.parametrize(("shape", "margin", "places"), [((9, 8, 8), 0, 2), ((20, 20, 20), 6, 1), ((20, 20, 20), 7, 0)])
def test_fewer_places_than_wanted(shape, margin, places):
    assert len(sample(shape, 5, CubeSampler((8, 8, 8), margin=margin, rule=BodyRule(0)))) == places


def test_a_side_below_the_cube_needs_padding():
    sampler = CubeSampler((8, 8, 5))
    assert sampler.padding((6, 20, 2)) == [(1, 1), (0, 0), (1, 2)]
    with pytest.raises(ValueError, match=r"a scan of \(6, 20, 2\) is smaller than the cube \(8, 8, 5\): pad it first"):
        sample((6, 20, 2), 1, sampler)
    with pytest.raises(ValueError, match=r"cubes of \(8, 8, 5\) do not fit a scan of shape \(20, 20\)"):
        sample((20, 20), 1, sampler)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cube_size": (8, 8, 0)}, r"2 or 3 sides of 1 voxel or more, got \(8, 8, 0\)"),
        ({"cube_size": (8,)}, "2 or 3 sides"),
        ({"margin": (0, -1, 0)}, "margin must not be negative"),
        ({"margin": (1, 2)}, r"margin: expected one value or 3, one for each axis, found \(1, 2\)"),
        ({"max_attempts_per_cube": 0}, "max_attempts_per_cube must be 1 or more"),
        ({"small_scans": "crop"}, "small_scans must be 'pad' or 'skip', got 'crop'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"CubeSampler: .*{message}"):
        CubeSampler(**arguments)


def test_the_record_is_plain():
    record = CubeSampler([8, 8, 4], margin=2).record()
    assert json.loads(json.dumps(record)) == record
    assert record["cube_size"] == [8, 8, 4]
    assert record["margin"] == [2, 2, 2]
    assert record["rule"] == {"name": "BodyRule", "min_body": 0.5}
