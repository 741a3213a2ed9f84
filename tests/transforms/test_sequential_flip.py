import numpy as np
import pytest

from models_genesis_bundle.transforms import RandSequentialFlip

IMAGE = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)


def draws(count=4000, **arguments):
    transform = RandSequentialFlip(**arguments).set_random_state(0)
    for _ in range(count):
        transform.randomize(IMAGE)
        yield transform.flipped


def test_published_shares():
    """0, 1, 2, 3 flips with 0.6, 0.24, 0.096, 0.064; flips of the same axis cancel."""
    flipped = list(draws())
    none = np.mean([axes == () for axes in flipped])
    assert none == pytest.approx(0.6 + 0.096 / 3, abs=0.03)
    single = [np.mean([axes == (axis,) for axes in flipped]) for axis in range(3)]
    # One flip; or three of which two cancel: 7 of the 27 triples leave each axis alone.
    assert single == pytest.approx([0.24 / 3 + 0.064 * 7 / 27] * 3, abs=0.02)


def test_published_axes_leave_the_depth():
    flipped = list(draws(axes=(None, 0, 1)))
    assert not any(2 in axes for axes in flipped)
    assert {(0,), (1,), (0, 1), ()} == set(flipped)


def test_flips_the_axes_it_drew():
    transform = RandSequentialFlip(prob=1.0, max_flips=1).set_random_state(0)
    for _ in range(10):
        found = transform(IMAGE)
        (axis,) = transform.flipped
        assert np.array_equal(found, np.flip(IMAGE, axis + 1))
        assert found.flags["C_CONTIGUOUS"]


def test_bad_arguments():
    with pytest.raises(ValueError, match="at least one axis"):
        RandSequentialFlip(axes=())
    with pytest.raises(ValueError, match="prob"):
        RandSequentialFlip(prob=1.5)
    with pytest.raises(ValueError, match="not all among the 2 axes"):
        RandSequentialFlip(axes=(2,))(IMAGE[:, 0])
