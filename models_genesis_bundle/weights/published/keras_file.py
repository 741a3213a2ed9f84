"""Files of Keras."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError

__all__ = ["is_hdf5", "read_keras_file"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
WHOLE_MODEL_GROUP = "model_weights"  # of files by Model.save, which hold the architecture and the optimiser as well


def is_hdf5(path: str | os.PathLike) -> bool:
    """Whether a file begins as HDF5 files do."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def read_keras_file(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read the weights that Keras 2 wrote by ``Model.save_weights`` or ``Model.save``.

    Args:
        path: the file.

    Returns:
        Each weight by its path in the file, ``depth_0_conv/depth_0_conv/kernel``: the layer, Keras' name for the scope, the
        weight, without the ``:0`` that TensorFlow appends.

    Raises:
        CheckpointError: when the package ``h5py`` is missing, or the file is damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError(
            f"{path}: a Keras file, which the package h5py reads, and that is not here: "
            "`pip install models-genesis-bundle[keras]`."
        ) from error
    weights: dict[str, torch.Tensor] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            weights[name.removesuffix(":0")] = torch.from_numpy(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.get(WHOLE_MODEL_GROUP, file).visititems(collect)
    except (OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: the HDF5 file is truncated or damaged ({os.path.getsize(path)} bytes; {error}). Copy it again."
        ) from error
    return weights
