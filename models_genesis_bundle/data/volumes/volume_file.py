"""One prepared volume on disk: compressed, read at random places, and checked by each read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import blosc2
import numpy as np
import torch
from models_genesis_bundle.files import whole_file

__all__ = ["DamagedVolumeError", "VolumeFile", "write_volume"]

_CHUNK = {3: (32, 32, 32), 2: (128, 128)}
_BLOCK = {3: (16, 16, 16), 2: (32, 32)}
_HEAD, _TAIL = 2**12, 2**18  # bytes that hold the header, and the offsets, checksums and trailer of a frame
_CHECKSUMS = "crc32"
_MAPPED_BY_OPENING = 4 * 2**20  # the system also maps what lies next to the bytes that are read


class DamagedVolumeError(ValueError):
    """A prepared volume whose file has changed or cannot be read."""


def write_volume(path: Path, voxels: np.ndarray) -> tuple[int, int]:
    """Write a volume (C, X, Y, Z) or (C, X, Y) as a Blosc2 array (``.b2nd``) of float16, whole or not at all.

    LZ4 is the fastest of Blosc2's codecs to decompress. With chunks of 32³ and blocks of 16³ voxels, cubes of 64 × 64 × 32
    voxels were read fastest at random places in a CT.

    Returns:
        The size of the file in bytes and the CRC-32 of its header and trailer. The CRC-32 of each chunk is in the file.
    """
    dims = voxels.ndim - 1
    chunks, blocks = (
        tuple(max(1, min(side, most)) for side, most in zip(voxels.shape, (voxels.shape[0], *sides[dims]), strict=True))
        for sides in (_CHUNK, _BLOCK)
    )
    compression = {"codec": blosc2.Codec.LZ4, "clevel": 5, "filters": [blosc2.Filter.SHUFFLE], "nthreads": 1}
    in_memory = blosc2.asarray(voxels.astype(np.float16), chunks=chunks, blocks=blocks, cparams=compression)
    # The chunks of this copy are byte for byte those of the file.
    array = blosc2.ndarray_from_cframe(in_memory.to_cframe(), copy=True)
    checksums = [zlib.crc32(array.schunk.get_chunk(number)) for number in range(array.schunk.nchunks)]
    array.schunk.vlmeta[_CHECKSUMS] = checksums
    frame = array.to_cframe()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(frame)
    return len(frame), _ends_checksum(frame[:_HEAD], frame[-_TAIL:])


def _ends_checksum(head: bytes, tail: bytes) -> int:
    return zlib.crc32(tail, zlib.crc32(head))


def _state(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


class VolumeFile:
    """A volume that `write_volume` has written; each chunk is compared with its checksum before its first use.

    Args:
        path: the file.
        ends: the checksum that `write_volume` returned.

    Raises:
        DamagedVolumeError: the file is missing, or its header or trailer has changed.
    """

    def __init__(self, path: Path, ends: int) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                if _ends_checksum(head, file.read()) != ends:
                    raise DamagedVolumeError(f"{path}: its header or trailer has changed.")
            self._state = _state(path)
            array = self._map()
        except (OSError, RuntimeError) as error:
            raise DamagedVolumeError(f"{path}: it cannot be opened ({error}).") from error
        self.shape: tuple[int, ...] = array.shape
        self._chunks = array.chunks
        self._chunk_grid = tuple(-(-side // step) for side, step in zip(self.shape, self._chunks, strict=True))
        self._checksums = np.array(array.schunk.vlmeta[_CHECKSUMS], dtype=np.uint32)
        self._unchecked = np.ones(len(self._checksums), dtype=bool)
        self._array: blosc2.NDArray | None = None
        self.mapped_bytes = 0  # about, since `release`

    def _map(self) -> blosc2.NDArray:
        return blosc2.open(str(self.path), mode="r", mmap_mode="r", dparams={"nthreads": 1})

    def release(self) -> None:
        """Free the memory of this process that the file is mapped to; the next read maps it again."""
        self._array = None
        self.mapped_bytes = 0

    def read(self, corner: Sequence[int], size: Sequence[int], fill: float) -> np.ndarray:
        """Read a box of voxels, float32 (C, *size), from its lowest corner, with `fill` outside of the volume.

        Raises:
            DamagedVolumeError: a needed part of the file has changed.
        """
        sides = self.shape[1:]
        inside = [
            slice(max(0, start), max(0, min(side, start + length)))
            for start, length, side in zip(corner, size, sides, strict=True)
        ]
        if any(part.start >= part.stop for part in inside):
            return np.full((self.shape[0], *size), fill, dtype=np.float32)
        try:
            if self._array is None:
                if _state(self.path) != self._state:
                    raise DamagedVolumeError(f"{self.path}: it was replaced while it was in use.")
                self._array = self._map()
                self.mapped_bytes = _MAPPED_BY_OPENING
            self._check_chunks(self._array, inside)
            stored = np.empty((self.shape[0], *(part.stop - part.start for part in inside)), dtype=np.float16)
            first, last = ([0, *(p.start for p in inside)], [self.shape[0], *(p.stop for p in inside)])
            self._array.get_slice_numpy(stored, (first, last))  # what indexing calls, without its overhead
            self.mapped_bytes += 4 * stored.nbytes
        except (OSError, RuntimeError) as error:
            raise DamagedVolumeError(f"{self.path}: it cannot be read ({error}).") from error
        voxels = torch.from_numpy(stored).float().numpy()  # ten times as fast as numpy's conversion
        if voxels.shape[1:] == tuple(size):
            return voxels
        box = np.full((self.shape[0], *size), fill, dtype=np.float32)
        place = (slice(part.start - start, part.stop - start) for part, start in zip(inside, corner, strict=True))
        box[(slice(None), *place)] = voxels
        return box

    def _check_chunks(self, array: blosc2.NDArray, box: Sequence[slice]) -> None:
        if not self._unchecked.any():
            return
        places = [np.arange(self._chunk_grid[0])]
        for part, step in zip(box, self._chunks[1:], strict=True):
            places.append(np.arange(part.start // step, (part.stop - 1) // step + 1))
        numbers = np.ravel_multi_index(np.ix_(*places), self._chunk_grid).ravel()
        for number in numbers[self._unchecked[numbers]].tolist():
            chunk = array.schunk.get_chunk(number)
            self.mapped_bytes += len(chunk)
            if zlib.crc32(chunk) != self._checksums[number]:
                raise DamagedVolumeError(f"{self.path}: a part of it has changed.")
            self._unchecked[number] = False
