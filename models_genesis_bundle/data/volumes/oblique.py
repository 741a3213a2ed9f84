"""Reading rotated and magnified cubes of a volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from monai.networks.layers.factories import Pool
from scipy.spatial.transform import Rotation


def random_matrix(
    rotation: float, zoom: Sequence[float], spacing: Sequence[float], generator: np.random.Generator
) -> np.ndarray:
    """A random rotation and zoom as a matrix from voxel offsets in the cube to voxel offsets in the volume.

    Args:
        rotation: largest angle about each axis, in degrees; angles are uniform in ±rotation.
        zoom: smallest and largest magnification of the anatomy; its logarithm is uniform.
        spacing: sides of a voxel in millimetres, 3 or 2.
        generator: the source of the random numbers.
    """
    axes = len(spacing)
    names, signs = ("z", [1]) if axes == 2 else ("xyz", [1, -1, 1])
    angles = generator.uniform(-rotation, rotation, len(names)) * signs
    turn = Rotation.from_euler(names, angles, degrees=True).as_matrix().reshape(3, 3)[:axes, :axes]
    scale = np.exp(generator.uniform(*np.log(zoom)))
    return np.diag(1 / np.array(spacing)) @ turn @ np.diag(spacing) / scale


def read_oblique(
    read: Callable[[Sequence[int], Sequence[int]], np.ndarray],
    corner: Sequence[int],
    size: Sequence[int],
    matrix: np.ndarray,
) -> np.ndarray:
    """Read a rotated cube with one linear resampling, float32 (C, *size).

    If the cube's voxels are at least twice as long as the volume's, blocks of the volume's voxels are averaged first.

    Args:
        read: function of a lowest corner and a size in voxels that returns (C, *size).
        corner: lowest voxel of the cube before the rotation about its middle.
        size: sides of the cube in voxels.
        matrix: see `random_matrix`.
    """
    half = (np.array(size) - 1) / 2
    middle = np.array(corner) + half
    block = max(1, int(np.linalg.det(matrix) ** (1 / len(size)) + 1e-6))  # volume voxels along a cube voxel
    reach = np.abs([matrix @ (half * signs) for signs in product((-1, 1), repeat=len(size))]).max(axis=0)
    reach = reach + (block - 1) / 2
    lowest = np.floor(middle - reach).astype(int)
    sides = np.ceil((np.ceil(middle + reach) - lowest + 1) / block).astype(int)
    box = torch.from_numpy(read(lowest.tolist(), (sides * block).tolist()))[None]
    if block > 1:
        box = Pool[Pool.AVG, len(size)](block)(box)
    # grid_sample needs offsets from the middle, divided by half the sides, with the last axis first.
    half_box = np.maximum((sides - 1) / 2, 0.5)
    shift = ((middle - lowest - (block - 1) / 2) / block - (sides - 1) / 2) / half_box
    scaled = matrix / block * np.maximum(half, 0.5) / half_box[:, None]
    theta = torch.as_tensor(np.column_stack([scaled[::-1, ::-1], shift[::-1]])[None], dtype=torch.float32)
    grid = torch.nn.functional.affine_grid(theta, [1, box.shape[1], *size], align_corners=True)
    cube = torch.nn.functional.grid_sample(box, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return cube[0].numpy()
