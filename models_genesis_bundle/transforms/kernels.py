"""Compiled loops of the deformations.

All random numbers of a kernel follow from a 64-bit seed, so that the result is the same in every process. With explicit
signatures, Numba compiles the kernels at the first import, before workers fork, and caches them on disk if it can.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

U64 = np.uint64
F32 = np.float32
GOLDEN = U64(0x9E3779B97F4A7C15)
LOW_BITS = U64(0xFFFFFFFF)
BLOCK = 1024  # voxels of an array that stays in the first cache


def can_be_cached() -> bool:
    """Whether Numba finds a folder for compiled code: next to this file, in ``NUMBA_CACHE_DIR`` or below the user's home."""
    try:
        FunctionCache(can_be_cached)
    except RuntimeError:
        return False
    return True


OPTIONS: dict[str, Any] = {"cache": can_be_cached(), "nogil": True, "error_model": "numpy"}


@numba.njit("uint64(uint64)", inline="always", **OPTIONS)
def mix(value):
    """SplitMix64's output function: neighbouring counters give independent bits (Steele et al., OOPSLA 2014)."""
    value = (value ^ (value >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> U64(27))) * U64(0x94D049BB133111EB)
    return value ^ (value >> U64(31))


@numba.njit("uint64(uint64, uint64)", inline="always", **OPTIONS)
def below(bits, bound):
    """A number in 0 … bound - 1 from the lower 32 of random bits, for a bound far below 2**32 (Lemire, TOMACS 2019)."""
    return ((bits & LOW_BITS) * bound) >> U64(32)


@numba.njit("void(float32[:, ::1], float32[:, ::1], int64[::1], int64[::1], int64, uint64, boolean)", **OPTIONS)
def shuffle_windows(source, target, sides, largest, num_windows, seed, share_channels):
    """Permute the voxels of random windows of ``source`` into ``target``; a voxel of several windows belongs to the first.

    A window gets new values, without replacement, only at voxels of no earlier window. The distribution is the same as if
    each window were permuted as a whole and overwrote the earlier ones, but less than half of the random numbers are needed.

    On entry, ``target`` (C, X * Y * Z) is a copy of ``source``. ``sides`` are X, Y and Z; ``largest`` are the largest sides
    of a window.
    """
    counter = mix(seed + GOLDEN)
    room = largest[0] * largest[1] * largest[2]
    voxels = np.empty(room, dtype=np.int32)
    uncovered = np.empty(room + 1, dtype=np.int32)
    covered = np.zeros(source.shape[1], dtype=np.uint8)
    size = np.empty(3, dtype=np.int64)
    corner = np.empty(3, dtype=np.int64)
    for _ in range(num_windows):
        for axis in range(3):
            counter += GOLDEN
            bits = mix(counter)
            size[axis] = 1 + np.int64(below(bits, largest[axis]))
            corner[axis] = np.int64(below(bits >> U64(32), sides[axis] - size[axis] + 1))
        filled = U64(0)
        count = U64(0)
        for x in range(corner[0], corner[0] + size[0]):
            for y in range(corner[1], corner[1] + size[1]):
                start = U64((x * sides[1] + y) * sides[2] + corner[2])
                for voxel in range(start, start + U64(size[2])):
                    voxels[filled] = voxel
                    filled += U64(1)
                    uncovered[count] = voxel  # stays when the count goes up; a branch here would cost more
                    count += U64(1) - U64(covered[voxel])
                    covered[voxel] = 1
        for channel in range(source.shape[0]):
            if channel == 0 or not share_channels:
                for place in range(count):
                    if place % U64(2):
                        bits >>= U64(32)
                    else:
                        counter += GOLDEN
                        bits = mix(counter)
                    other = place + below(bits, filled - place)
                    drawn = voxels[other]
                    voxels[other] = voxels[place]
                    voxels[place] = drawn
            for place in range(count):
                target[channel, U64(uncovered[place])] = source[channel, U64(voxels[place])]


@numba.njit("void(float32[::1], float32[::1], float32[::1], float32[::1], float32, float32)", **OPTIONS)
def map_values(source, target, table, rises, low, high):
    """Map ``source`` by a table of values at equal steps from ``low`` to ``high``: linear between them, clipped outside.

    ``rises`` are the differences between neighbouring values of ``table``, with 0 at the end. NaN is mapped like ``low``.
    """
    last = F32(table.size - 1)
    scale = last / (high - low)
    steps = np.empty(BLOCK, dtype=np.int32)
    weights = np.empty(BLOCK, dtype=np.float32)
    for start in range(U64(0), U64(source.size), U64(BLOCK)):
        count = min(U64(BLOCK), U64(source.size) - start)
        for voxel in range(count):  # unlike the loop with the look-ups, this one compiles to vector instructions
            position = (source[start + voxel] - low) * scale
            position = position if position > F32(0) else F32(0)
            position = position if position < last else last
            steps[voxel] = np.int32(position)
            weights[voxel] = position - F32(steps[voxel])
        for voxel in range(count):
            step = np.uint32(steps[voxel])
            target[start + voxel] = table[step] + weights[voxel] * rises[step]


@numba.njit("float32(uint64, float32, float32)", inline="always", **OPTIONS)
def uniform(bits, low, width):
    """A number in [low, low + width), on a grid of 2**24 steps, from the lower 32 of random bits."""
    return low + width * (F32(np.uint32(bits & LOW_BITS) >> np.uint32(8)) * F32(2.0**-24))


@numba.njit("void(float32[::1], uint64, float32, float32)", **OPTIONS)
def fill_noise(target, seed, low, width):
    """Replace each voxel of ``target`` by uniform noise in [low, low + width)."""
    start = mix(seed + GOLDEN)
    for pair in range(U64(target.size) >> U64(1)):
        bits = mix(start + pair * GOLDEN)
        target[U64(2) * pair] = uniform(bits, low, width)
        target[U64(2) * pair + U64(1)] = uniform(bits >> U64(32), low, width)
    if target.size % 2:
        target[target.size - 1] = uniform(mix(start + U64(target.size) * GOLDEN), low, width)


@numba.njit("void(float32[:, :, :, ::1], int64[:, ::1], int64[:, ::1], uint64, float32, float32)", **OPTIONS)
def paint_noise(target, corners, sizes, seed, low, width):
    """Replace windows of ``target`` (C, X, Y, Z) by uniform noise; ``corners`` and ``sizes`` are (windows, 3)."""
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
                        target[channel, x, y, z] = uniform(mix(start + U64(line + z) * GOLDEN), low, width)
