"""The deformations as plain loops, for comparison with the compiled ones.

They follow the description in docs/reference/transforms.md in the obvious way: one NumPy call for each window. Cubes are (1, X,
Y, Z) arrays in 0 … 1; no function changes its input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

MARGIN = 3  # voxels between a painted window and the faces of the cube
CURVE_POINTS = 1_000


def shuffle(cube: np.ndarray, rng: np.random.Generator, windows: int = 10_000) -> np.ndarray:
    """Local pixel shuffling: permute the voxels of each window, which are read from the undeformed cube."""
    output = cube.copy()
    shape = np.array(cube.shape[1:])
    sides = rng.integers(1, shape // 10, size=(windows, len(shape)), endpoint=True)
    corners = rng.integers(0, shape - sides, endpoint=True)
    for corner, side in zip(corners.tolist(), sides.tolist(), strict=True):
        window = _window(corner, side)
        voxels = cube[window].flatten()
        rng.shuffle(voxels)
        output[window] = voxels.reshape(1, *side)
    return output


def bend_intensities(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Non-linear intensities along a cubic Bézier curve from corner to corner, half of them decreasing."""
    points = np.array([(0.0, 0.0), rng.random(2), rng.random(2), (1.0, 1.0)])
    t = np.linspace(0, 1, CURVE_POINTS)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    curve = weights @ points
    x, y = np.sort(curve[:, 0]), np.sort(curve[:, 1])
    if rng.random() < 0.5:
        y = curve[::-1, 1]
    return np.interp(cube, x, y).astype(np.float32)


def in_paint(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In-painting: noise inside up to five windows."""
    output = cube.copy()
    for _ in range(5):
        if rng.random() < 0.05:
            break
        sides = [rng.integers(side // 6, side // 3, endpoint=True) for side in cube.shape[1:]]
        window = _inner_window(cube.shape[1:], sides, rng)
        output[window] = rng.random(output[window].shape)
    return output


def out_paint(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out-painting: noise outside up to five windows."""
    output = rng.random(cube.shape).astype(np.float32)
    for number in range(5):
        if number > 0 and rng.random() < 0.05:
            break
        sides = [side - rng.integers(3 * side // 7, 4 * side // 7, endpoint=True) for side in cube.shape[1:]]
        window = _inner_window(cube.shape[1:], sides, rng)
        output[window] = cube[window]
    return output


def genesis_pair(cube: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """A cube and its deformed copy, with the recipe's probabilities: ``image`` and ``label``, (1, X, Y, Z)."""
    for _ in range(3):
        if rng.random() >= 0.4:
            break
        cube = np.flip(cube, int(rng.integers(1, cube.ndim)))
    label = cube
    image = shuffle(cube, rng) if rng.random() < 0.5 else cube
    if rng.random() < 0.9:
        image = bend_intensities(image, rng)
    if rng.random() < 0.9:
        image = in_paint(image, rng) if rng.random() < 0.2 else out_paint(image, rng)
    return {"image": torch.from_numpy(image.copy()), "label": torch.from_numpy(label.copy())}


def _inner_window(shape: Sequence[int], sides: Sequence[int], rng: np.random.Generator) -> tuple[slice, ...]:
    last = [whole - side - MARGIN for whole, side in zip(shape, sides, strict=True)]
    return _window(rng.integers(MARGIN, last, endpoint=True).tolist(), sides)


def _window(corner: Sequence[int], sides: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(start, start + side) for start, side in zip(corner, sides, strict=True)))
