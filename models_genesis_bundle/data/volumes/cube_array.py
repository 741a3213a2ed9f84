"""Arrays of many cubes, written one cube at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from models_genesis_bundle.files import whole_file

__all__ = ["write_array"]


def write_array(path: Path, arrays: Iterable[np.ndarray], shape: Sequence[int], dtype: str) -> None:
    """Write arrays, one behind the other, as one ``.npy`` file that is there whole or not at all.

    Args:
        path: the file.
        arrays: the parts in C order, one in memory at a time.
        shape: shape of the whole.
        dtype: type of the whole; the parts are converted.

    Raises:
        OSError: the file could not be written; names it.
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
    with whole_file(path) as unfinished, unfinished.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for array in arrays:
            stream.write(np.ascontiguousarray(array, dtype=dtype).data)
