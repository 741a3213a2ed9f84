import numpy as np
import pytest
from models_genesis_bundle.transforms import RandNonlinearIntensity

RAMP = np.linspace(0, 1, 501, dtype=np.float32).reshape(1, 1, -1)


def maps(count=400, **arguments):
    transform = RandNonlinearIntensity(1.0, **arguments).set_random_state(0)
    return [transform(RAMP)[0, 0] for _ in range(count)]


def test_half_of_the_maps_decrease_and_all_are_monotone():
    """Published: the sampled curve's y is sorted, or not, with probability one half."""
    slopes = [np.diff(values) for values in maps(1000)]
    decreasing = np.mean([values.sum() < 0 for values in slopes])
    assert decreasing == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))
    assert all((values >= -1e-6).all() or (values <= 1e-6).all() for values in slopes)


def test_end_points_are_exact():
    for values in maps(50):
        assert {float(values[0]), float(values[-1])} == {0.0, 1.0}


@pytest.mark.parametrize(("prob", "first"), [(0.0, 0.0), (1.0, 1.0)])
def test_direction_can_be_fixed(prob, first):
    assert all(values[0] == first for values in maps(20, decreasing_prob=prob))


def test_the_map_is_the_bezier_curve():
    """At a curve parameter t the map takes x(t) to y(t), cubic Bernstein form written out here."""
    transform = RandNonlinearIntensity(1.0, decreasing_prob=0.0).set_random_state(4)
    for _ in range(20):
        transform.randomize(RAMP)
        (x1, y1), (x2, y2) = transform.control_points
        t = np.linspace(0.05, 0.95, 19)
        x = 3 * (1 - t) ** 2 * t * x1 + 3 * (1 - t) * t**2 * x2 + t**3
        y = 3 * (1 - t) ** 2 * t * y1 + 3 * (1 - t) * t**2 * y2 + t**3
        found = transform(x.astype(np.float32).reshape(1, 1, -1), randomize=False)
        np.testing.assert_allclose(found[0, 0], y, atol=5e-3)


def test_control_points_are_uniform_in_the_square():
    transform = RandNonlinearIntensity(1.0).set_random_state(0)
    points = []
    for _ in range(2000):
        transform.randomize(RAMP)
        points.append(transform.control_points.ravel())
    histogram = np.stack([np.histogram(column, bins=5, range=(0, 1))[0] for column in np.transpose(points)]) / 2000
    assert np.abs(histogram - 0.2).max() < 0.04


def test_other_ranges_and_values_outside_them():
    scaled = RandNonlinearIntensity(1.0, intensity_range=(-5, 5)).set_random_state(2)(RAMP * 10 - 5)
    plain = RandNonlinearIntensity(1.0).set_random_state(2)(RAMP)
    np.testing.assert_allclose(scaled, plain * 10 - 5, atol=2e-4)
    outside = np.array([[[-3.0, 0.0, 1.0, 7.0]]], dtype=np.float32)
    found = RandNonlinearIntensity(1.0).set_random_state(2)(outside)[0, 0]
    assert found[0] == found[1]
    assert found[2] == found[3]


def test_maps_arrays_of_any_length_alike_and_takes_no_number_for_the_lowest():
    long = np.tile(RAMP, (1, 7, 3))
    long[0, 0, 0] = np.nan
    transform = RandNonlinearIntensity(1.0).set_random_state(2)
    assert np.array_equal(transform(long), np.tile(transform(RAMP, randomize=False), (1, 7, 3)))


def test_no_control_points_give_the_identity():
    for values in maps(5, num_control_points=0, decreasing_prob=0.0):
        np.testing.assert_allclose(values, RAMP[0, 0], atol=1e-5)


@pytest.mark.parametrize("arguments", [{"decreasing_prob": 2}, {"num_points": 1}, {"intensity_range": (1, 0)}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="RandNonlinearIntensity"):
        RandNonlinearIntensity(**arguments)
