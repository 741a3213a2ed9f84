"""Compiled loops of the deformations.

Every kernel takes its randomness from a 64-bit seed, so that a seed gives the same voxels in any process. The signatures are
explicit: the kernels compile when this module is first imported, are cached on disk, and are warm before workers fork.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["keep_windows", "map_values", "paint_noise", "shuffle_windows"]

U64 = np.uint64
GOLDEN = U64(0x9E3779B97F4A7C15)
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


@numba.njit("uint64(uint64)", inline="always", **OPTIONS)
def mix(value):
    """SplitMix64's output function: neighbouring counters give independent bits (Steele et al., OOPSLA 2014)."""
    value = (value ^ (value >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> U64(27))) * U64(0x94D049BB133111EB)
    return value ^ (value >> U64(31))


@numba.njit("uint64(uint64, uint64)", inline="always", **OPTIONS)
def below(counter, bound):
    """A number in 0 … bound - 1, for a bound far below 2**32."""
    return ((mix(counter) >> U64(32)) * U64(bound)) >> U64(32)


@numba.njit("void(float32[:, ::1], float32[:, ::1], int64[::1], int64[::1], int64, uint64, boolean)", **OPTIONS)
def shuffle_windows(source, target, sides, largest, num_windows, seed, share_channels):
    """Permute the voxels of random windows of ``source`` into ``target``; a later window overwrites an earlier one.

    Args:
        source: (C, X * Y * Z), read only.
        target: same shape, holds a copy of ``source`` on entry.
        sides: X, Y, Z.
        largest: largest side of a window for each axis.
        num_windows: how many.
        seed: start of the draws.
        share_channels: the same permutation in every channel, or one for each.
    """
    counter = mix(seed + GOLDEN)
    voxels = np.empty(largest[0] * largest[1] * largest[2], dtype=np.int32)
    size = np.empty(3, dtype=np.int64)
    corner = np.empty(3, dtype=np.int64)
    for _ in range(num_windows):
        for axis in range(3):
            counter += GOLDEN
            size[axis] = 1 + np.int64(below(counter, largest[axis]))
            counter += GOLDEN
            corner[axis] = np.int64(below(counter, sides[axis] - size[axis] + 1))
        first = (corner[0] * sides[1] + corner[1]) * sides[2] + corner[2]
        for channel in range(source.shape[0]):
            if channel == 0 or not share_channels:
                filled = 0
                for x in range(size[0]):
                    for y in range(size[1]):
                        start = first + (x * sides[1] + y) * sides[2]
                        for z in range(size[2]):
                            counter += GOLDEN
                            other = below(counter, filled + 1)
                            voxels[filled] = voxels[other]
                            voxels[other] = start + z
                            filled += 1
            read = 0
            for x in range(size[0]):
                for y in range(size[1]):
                    start = first + (x * sides[1] + y) * sides[2]
                    for z in range(size[2]):
                        target[channel, start + z] = source[channel, voxels[read]]
                        read += 1


@numba.njit("void(float32[::1], float32[::1], float32[::1], float32, float32)", **OPTIONS)
def map_values(source, target, table, low, high):
    """Map ``source`` by a table of values at equal steps from ``low`` to ``high``, linear between them, clipped outside."""
    last = table.size - 1
    scale = np.float32(last / (high - low))
    for voxel in range(source.size):
        position = (source[voxel] - low) * scale
        position = min(max(position, np.float32(0)), np.float32(last))
        step = min(np.int64(position), last - 1)
        weight = position - np.float32(step)
        target[voxel] = table[step] + weight * (table[step + 1] - table[step])


@numba.njit("float32(uint64, float32, float32)", inline="always", **OPTIONS)
def uniform(counter, low, width):
    """A number in [low, low + width), on a grid of 2**24 steps."""
    return low + width * np.float32(np.float32(mix(counter) >> U64(40)) * np.float32(2.0**-24))


@numba.njit("void(float32[:, :, :, ::1], int64[:, ::1], int64[:, ::1], uint64, float32, float32)", **OPTIONS)
def paint_noise(target, corners, sizes, seed, low, width):
    """Replace windows of ``target`` (C, X, Y, Z) by noise that is uniform in [low, low + width) for each voxel.

    Args:
        target: painted in place.
        corners: (windows, 3).
        sizes: (windows, 3).
        seed: start of the noise.
        low: smallest value.
        width: of the range.
    """
    channels, depth, height, length = target.shape
    start = mix(seed + GOLDEN)
    for window in range(corners.shape[0]):
        x0, y0, z0 = corners[window]
        dx, dy, dz = sizes[window]
        for channel in range(channels):
            for x in range(x0, x0 + dx):
                for y in range(y0, y0 + dy):
                    line = ((channel * depth + x) * height + y) * length
                    for z in range(z0, z0 + dz):
                        target[channel, x, y, z] = uniform(start + U64(line + z) * GOLDEN, low, width)


@numba.njit("void(float32[:, :, :, ::1], float32[:, :, :, ::1], int64[:, ::1], int64[:, ::1])", **OPTIONS)
def keep_windows(source, target, corners, sizes):
    """Copy windows, given as in ``paint_noise``, from ``source`` (C, X, Y, Z) to ``target``."""
    for window in range(corners.shape[0]):
        x0, y0, z0 = corners[window]
        dx, dy, dz = sizes[window]
        for channel in range(source.shape[0]):
            for x in range(x0, x0 + dx):
                for y in range(y0, y0 + dy):
                    for z in range(z0, z0 + dz):
                        target[channel, x, y, z] = source[channel, x, y, z]
