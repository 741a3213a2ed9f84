"""The body masks of drawn volumes with known bodies, and of the phantoms, whose edges are blurred."""

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.data import IntensityScaling
from models_genesis_bundle.data.volumes.cube_sampler import body_mask, otsu_threshold
from scipy import ndimage

AIR, LUNG, TISSUE = -1000, -850, 40


def grid(shape):
    return np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij", sparse=True)


def ellipse(shape, centre, axes):
    x, y, _ = grid(shape)
    inside = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 < 1
    return np.broadcast_to(inside, shape)


def noisy(*painted, shape):
    """Air with noise of 15 HU, over which each pair (mask, HU) is painted."""
    hu = np.full(shape, AIR, dtype=np.float32)
    for mask, value in painted:
        hu[mask] = value
    return (hu + np.random.default_rng(0).normal(0, 15, shape)).astype(np.float32)[None]


def chest(shape=(80, 60, 30)):
    """A trunk with two lungs, and its body mask."""
    trunk = ellipse(shape, (0, 0), (0.8, 0.7))
    lungs = ellipse(shape, (-0.35, 0), (0.25, 0.45)) | ellipse(shape, (0.35, 0), (0.25, 0.45))
    return noisy((trunk, TISSUE), (lungs, LUNG), shape=shape), trunk


def overlap(one, two):
    return (one & two).sum() / (one | two).sum()


@pytest.mark.parametrize(
    ("values", "separability"),
    [
        (np.random.default_rng(0).normal(size=100_000), 2 / np.pi),
        (np.random.default_rng(0).random(100_000), 0.75),
        (np.repeat([3.0, 7.0], 50), 1.0),
        (np.full(9, 4.0), 0.0),
        (np.array([1, 1 - 2**-17], np.float32), 0.0),
    ],
    ids=["normal", "uniform", "two values", "one value", "nearly one"],
)
def test_separability_of_known_distributions(values, separability):
    """Cut at its mean, a normal distribution has 2/π of its variance between the halves, a uniform one 3/4."""
    threshold, found = otsu_threshold(values)
    assert found == pytest.approx(separability, abs=0.01)
    if 0 < separability < 1:
        assert threshold == pytest.approx(np.mean(values), abs=0.05)


def test_the_threshold_parts_two_peaks():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(-1000, 20, 9000), rng.normal(40, 30, 1000)])
    threshold, separability = otsu_threshold(values)
    assert (values[:9000] < threshold).all()
    assert (values[9000:] >= threshold).all()
    assert separability > 0.99


def test_lungs_are_body_and_air_around_is_not():
    hu, trunk = chest()
    mask, factors = body_mask(hu)
    assert factors == (1, 1, 1)
    assert overlap(mask, trunk) > 0.99


def test_lungs_that_the_scan_cuts_through_are_body():
    hu, trunk = chest()
    for part in (slice(0, 40), slice(25, 80)):
        mask, _ = body_mask(hu[:, part])
        assert overlap(mask, trunk[part]) > 0.99
    mask, _ = body_mask(hu[:, :, 30:])
    assert overlap(mask, trunk[:, 30:]) > 0.99


def test_the_couch_is_no_body():
    hu, trunk = chest()
    hu[:, 10:70, 1:3] = 100
    mask, _ = body_mask(hu)
    assert overlap(mask, trunk) > 0.99


def test_both_legs_are_body():
    shape = (80, 60, 30)
    legs = ellipse(shape, (-0.5, 0), (0.3, 0.5)) | ellipse(shape, (0.5, 0), (0.25, 0.4))
    assert overlap(body_mask(noisy((legs, TISSUE), shape=shape))[0], legs) > 0.99


def test_a_crop_from_within_an_organ_is_body_throughout():
    organ = np.random.default_rng(0).normal(60, 20, (1, 40, 40, 20)).astype(np.float32)
    assert body_mask(organ)[0].all()


def test_a_large_scan_is_looked_at_in_reduced_resolution():
    hu, trunk = chest((300, 130, 40))
    mask, factors = body_mask(hu)
    assert factors == (3, 2, 1)
    assert mask.shape == (100, 65, 40)
    assert overlap(mask, trunk[1::3, ::2]) > 0.97


def test_sides_that_the_factor_does_not_divide():
    mask, factors = body_mask(chest((131, 60, 10))[0])
    assert factors == (2, 1, 1)
    assert mask.shape == (66, 60, 10)


def test_flat_images():
    hu, trunk = chest()
    mask, factors = body_mask(hu[..., 0])
    assert factors == (1, 1)
    assert overlap(mask, trunk[..., 0]) > 0.98


@pytest.mark.parametrize("mode", ["window", "percentile", "zscore"])
def test_the_phantoms_bodies(phantoms, mode):
    for file in sorted((phantoms / "images").glob("*.nii.gz")):
        hu = nibabel.load(file).get_fdata(dtype=np.float32)
        lungs = nibabel.load(phantoms / "labels" / file.name).get_fdata() > 0
        body = ndimage.binary_opening(hu > -300)
        components, _ = ndimage.label(body)
        body = components == np.bincount(components.ravel())[1:].argmax() + 1
        body = np.stack([ndimage.binary_fill_holes(body[..., z]) for z in range(body.shape[-1])], axis=-1)
        mask, _ = body_mask(IntensityScaling(mode)(hu[None]))
        assert overlap(mask, body) > 0.95, file.name
        assert mask[lungs].mean() > 0.999, file.name
        assert mask[~ndimage.binary_dilation(body, iterations=3)].mean() < 0.001, file.name
