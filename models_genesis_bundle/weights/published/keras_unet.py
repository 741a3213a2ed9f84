"""``Genesis_Chest_CT.h5``: the published Keras network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.published.genesis_unet import CT_WINDOW, STAGES, genesis_unet_definition
from models_genesis_bundle.weights.published.layout import PublishedLayout, Translation

__all__ = ["KERAS_UNET", "is_hdf5", "read_keras_file"]

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


# The last two names of a weight's path. Keras appends _1, _2, … to a name that it has used before in the same session.
CONV_UNIT = re.compile(r"(?:.*/)?depth_(\d+)_(conv|bn)(?:_\d+)?/(\w+)")
HEAD = re.compile(r"(?:.*/)?conv3d(?:_\d+)*/(\w+)")

LAYERS = {"conv": "conv", "bn": "norm"}
WEIGHTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

UNITS = 4 * STAGES - 2  # two convolutions a stage, in the order that the image passes them: encoder, then decoder
NORM = ["batch", {"eps": 1e-3}]  # Keras' default; evaluation takes the moving statistics


def _recognises(state: Mapping[str, torch.Tensor]) -> bool:
    units = [int(match[1]) for match in map(CONV_UNIT.fullmatch, state) if match and match[3] == "kernel"]
    heads = [match for match in map(HEAD.fullmatch, state) if match and match[1] == "kernel"]
    return sorted(units) == list(range(UNITS)) and len(heads) == 1


def _translate(state: Mapping[str, torch.Tensor]) -> Translation:
    own = {_own_key(key): _turned(value) for key, value in state.items()}
    # How many batches a normalisation has seen, PyTorch keeps and Keras does not. It takes no part in any result.
    counts = [key.replace("running_var", "num_batches_tracked") for key in own if key.endswith("running_var")]
    own |= {key: torch.tensor(0) for key in counts}
    return Translation(own, genesis_unet_definition(own, NORM, "nearest"))


def _own_key(key: str) -> str:
    if match := CONV_UNIT.fullmatch(key):
        number = int(match[1])
        stage, place = divmod(number, 2)
        unit = f"encoder.stages.{stage}" if stage < STAGES else f"decoder.stages.{stage - STAGES}.convs"
        return f"{unit}.{place}.{LAYERS[match[2]]}.{WEIGHTS.get(match[3], match[3])}"
    if match := HEAD.fullmatch(key):
        return f"head.{WEIGHTS.get(match[1], match[1])}"
    return key


def _turned(value: torch.Tensor) -> torch.Tensor:
    """A kernel (X, Y, Z, inputs, outputs) as (outputs, inputs, X, Y, Z); Keras as well, correlates and does not flip it."""
    return value.permute(4, 3, 0, 1, 2).contiguous() if value.dim() == 5 else value


KERAS_UNET = PublishedLayout("Genesis_Chest_CT.h5", "the published Keras network", _recognises, _translate, CT_WINDOW)
