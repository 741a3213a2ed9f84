from __future__ import annotations

import numpy as np
import pytest
from models_genesis_bundle.data.volumes.oblique import random_matrix, read_oblique
from scipy import ndimage

SIZE = (9, 8, 7)


@pytest.fixture
def volume():
    """Smooth, so that linear interpolation comes close to the truth."""
    x, y, z = np.meshgrid(np.arange(60.0), np.arange(50.0), np.arange(40.0), indexing="ij")
    return (np.sin(x / 9) + np.cos(y / 7) + np.sin((x + z) / 8)).astype(np.float32)[None]


def reader(volume):
    def read(corner, size):
        assert min(corner) >= 0
        box = volume[(slice(None), *map(slice, corner, np.add(corner, size)))]
        assert box.shape[1:] == tuple(size)
        return box.copy()

    return read


@pytest.mark.parametrize("seed", range(5))
def test_each_voxel_is_the_volumes_value_at_its_turned_place(volume, seed):
    spacing = (0.8, 0.8, 2.5)
    matrix = random_matrix(30, (0.7, 1.4), spacing, np.random.default_rng(seed))
    corner = (25, 20, 15)
    offsets = np.stack(np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in SIZE), indexing="ij"))
    middle = np.array(corner) + (np.array(SIZE) - 1) / 2
    places = np.tensordot(matrix, offsets, 1) + middle[:, None, None, None]
    wanted = ndimage.map_coordinates(volume[0], places, order=1)
    found = read_oblique(reader(volume), corner, SIZE, matrix)
    assert found.shape == (1, *SIZE)
    np.testing.assert_allclose(found[0], wanted, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_coarse_cube_holds_means_of_the_volume(dims):
    """Voxels of three times the length are means of blocks of 3 voxels, because single voxels are noise."""
    volume = np.random.default_rng(0).random((1, 48, 40, 36)[: dims + 1], dtype=np.float32)
    size = SIZE[:dims]
    found = read_oblique(reader(volume), (20, 16, 15)[:dims], size, np.eye(dims) * 3)
    smooth = ndimage.uniform_filter(volume[0].astype(float), 3)
    middle = np.array((20, 16, 15)[:dims]) + (np.array(size) - 1) / 2
    places = [m + 3 * (np.arange(side) - (side - 1) / 2) for m, side in zip(middle, size, strict=True)]
    wanted = ndimage.map_coordinates(smooth, np.meshgrid(*places, indexing="ij"), order=1)
    assert found.shape == (1, *size)
    assert found.std() < 0.5 * volume.std()
    whole = [position.round(6) % 1 == 0 for position in places]
    exact = np.ix_(*[np.flatnonzero(axis) for axis in whole])
    np.testing.assert_allclose(found[0][exact], wanted[exact], atol=1e-5)


def test_a_rotation_keeps_lengths_in_millimetres_and_a_zoom_divides_them():
    spacing = np.array([0.7, 0.7, 3.0])
    for seed in range(20):
        turned = random_matrix(180, (1, 1), spacing, np.random.default_rng(seed))
        steps = spacing[:, None] * turned / spacing
        np.testing.assert_allclose(steps.T @ steps, np.eye(3), atol=1e-12)
        zoomed = random_matrix(0, (2, 2), spacing, np.random.default_rng(seed))
        np.testing.assert_allclose(zoomed, np.eye(3) / 2)


def test_in_2d_an_image_turns_in_its_plane():
    matrix = random_matrix(90, (1, 1), (1, 1), np.random.default_rng(0))
    assert matrix.shape == (2, 2)
    assert np.linalg.det(matrix) == pytest.approx(1)
    image = np.random.default_rng(0).random((1, 20, 20), dtype=np.float32)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    found = read_oblique(reader(image), (8, 8), (5, 5), quarter)
    np.testing.assert_allclose(found[0], np.rot90(image[0, 8:13, 8:13], -1), atol=1e-6)


def test_a_slice_may_be_one_voxel_thick(volume):
    found = read_oblique(reader(volume), (20, 20, 20), (9, 9, 1), np.eye(3))
    np.testing.assert_allclose(found, volume[:, 20:29, 20:29, 20:21], atol=1e-5)


def test_angles_and_zooms_are_drawn_within_their_limits():
    draws = np.random.default_rng(0)
    zooms = [np.linalg.det(random_matrix(10, (0.5, 2), (1, 1, 1), draws)) ** (-1 / 3) for _ in range(300)]
    assert 0.5 <= min(zooms) < 0.55
    assert 1.8 < max(zooms) <= 2
    assert np.median(zooms) == pytest.approx(1, abs=0.15)
