"""One compressed volume on disk, to be read at random places; each read checks its data."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence

import blosc2
import numpy as np
import torch
from models_genesis_bundle.files import whole_file
from monai.config import PathLike

_CHUNK = {3: (32, 32, 32), 2: (128, 128)}
_BLOCK = {3: (16, 16, 16), 2: (32, 32)}
_HEAD, _TAIL = 2**12, 2**18  # bytes with the header, and with the offsets, checksums and trailer of a frame
_CHECKSUMS = "crc32"


class DamagedVolumeError(ValueError):
    """The file of a prepared volume has changed or cannot be read."""


def write_volume(path: PathLike, voxels: np.ndarray) -> tuple[int, int]:
    """Write a volume (C, X, Y, Z) or (C, X, Y) atomically as a Blosc2 array (``.b2nd``) of float16.

    LZ4, chunks of 32³ voxels and blocks of 16³ voxels were fastest for reading cubes of 64 × 64 × 32 voxels in a CT.

    Returns:
        The size of the file in bytes, and the CRC-32 of its header and trailer. The CRC-32 of each chunk is in the file.
    """
    dims = voxels.ndim - 1
    chunks, blocks = (
        tuple(max(1, min(side, most)) for side, most in zip(voxels.shape, (voxels.shape[0], *sides[dims]), strict=True))
        for sides in (_CHUNK, _BLOCK)
    )
    compression = {"codec": blosc2.Codec.LZ4, "clevel": 5, "filters": [blosc2.Filter.SHUFFLE], "nthreads": 1}
    in_memory = blosc2.asarray(voxels.astype(np.float16), chunks=chunks, blocks=blocks, cparams=compression)
    # The chunks of this copy are identical to those of the file.
    array = blosc2.ndarray_from_cframe(in_memory.to_cframe(), copy=True)
    checksums = [zlib.crc32(array.schunk.get_chunk(number)) for number in range(array.schunk.nchunks)]
    array.schunk.vlmeta[_CHECKSUMS] = checksums
    frame = array.to_cframe()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(frame)
    return len(frame), zlib.crc32(frame[-_TAIL:], zlib.crc32(frame[:_HEAD]))


class VolumeFile:
    """A volume from `write_volume`; the checksum of each chunk is checked before its first use.

    Args:
        path: the file.
        ends: the checksum that `write_volume` returned.

    Raises:
        DamagedVolumeError: the file is missing, or its header or trailer has changed.
    """

    def __init__(self, path: PathLike, ends: int) -> None:
        self.path = str(path)
        try:
            with open(path, "rb") as file:
                head = file.read(_HEAD)
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
                if zlib.crc32(file.read(), zlib.crc32(head)) != ends:
                    raise DamagedVolumeError(f"{path}: its header or trailer has changed.")
            self._state = self._current_state()
            array = self._map()
        except (OSError, RuntimeError) as error:
            raise DamagedVolumeError(f"{path}: it cannot be opened ({error}).") from error
        self.shape, self._chunks = array.shape, array.chunks
        self._chunk_grid = tuple(-(-side // step) for side, step in zip(self.shape, self._chunks, strict=True))
        self._checksums = np.array(array.schunk.vlmeta[_CHECKSUMS], dtype=np.uint32)
        self._unchecked = np.ones(len(self._checksums), dtype=bool)
        self.array: blosc2.NDArray | None = None  # mapped by the next read

    def _current_state(self) -> tuple[int, int, int]:
        state = os.stat(self.path)
        return state.st_ino, state.st_size, state.st_mtime_ns

    def _map(self) -> blosc2.NDArray:
        return blosc2.open(self.path, mode="r", mmap_mode="r", dparams={"nthreads": 1})

    def release(self) -> None:
        """Unmap the file from the memory of this process; the next read maps it again."""
        self.array = None

    def read(self, corner: Sequence[int], size: Sequence[int], fill: float) -> np.ndarray:
        """Read a box of voxels, float32 (C, *size), with `fill` outside of the volume; `corner` is its lowest voxel.

        Raises:
            DamagedVolumeError: a necessary part of the file has changed.
        """
        low = np.maximum(corner, 0)
        high = np.minimum(np.add(corner, size), self.shape[1:])
        box = np.empty((self.shape[0], *size), dtype=np.float32)
        if (high - low < size).any():
            box.fill(fill)
        if (low >= high).any():
            return box
        try:
            if self.array is None:
                if self._current_state() != self._state:
                    raise DamagedVolumeError(f"{self.path}: it was replaced while it was in use.")
                self.array = self._map()
            self._check_chunks(self.array, low, high)
            stored = np.empty((self.shape[0], *(high - low)), dtype=np.float16)
            self.array.get_slice_numpy(stored, ([0, *low], [self.shape[0], *high]))  # faster than indexing
        except (OSError, RuntimeError) as error:
            raise DamagedVolumeError(f"{self.path}: it cannot be read ({error}).") from error
        place = tuple(slice(*ends) for ends in zip(low - corner, high - corner, strict=True))
        torch.from_numpy(box)[(slice(None), *place)] = torch.from_numpy(stored)  # faster than numpy's conversion
        return box

    def _check_chunks(self, array: blosc2.NDArray, low: np.ndarray, high: np.ndarray) -> None:
        if not self._unchecked.any():
            return
        first, last = low // self._chunks[1:], (high - 1) // self._chunks[1:]
        places = [np.arange(self._chunk_grid[0]), *map(np.arange, first, last + 1)]
        numbers = np.ravel_multi_index(np.ix_(*places), self._chunk_grid).ravel()
        for number in numbers[self._unchecked[numbers]].tolist():
            if zlib.crc32(array.schunk.get_chunk(number)) != self._checksums[number]:
                raise DamagedVolumeError(f"{self.path}: a part of it has changed.")
            self._unchecked[number] = False
