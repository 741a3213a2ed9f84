"""What a training did to the layers: how far their weights grew, and in how many directions they act."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from models_genesis_bundle.weights.sources import read_source

__all__ = ["LayerSpectrum", "layer_spectra"]


class LayerSpectrum(NamedTuple):
    """Size and shape of a layer's weights, as a matrix with a row for each channel."""

    layer: str
    channels: int
    norm_ratio: float
    stable_rank: float


def layer_spectra(source: str | os.PathLike | Mapping[str, Any]) -> list[LayerSpectrum]:
    """The size and the stable rank of every convolution and dense layer in a weight file.

    ``norm_ratio`` is the Frobenius norm over the one that PyTorch's default initialisation gives in the mean, √(rows / 3). Behind
    a normalisation the size of weights changes nothing but the step: at a ratio of 3 the same learning rate turns a layer a
    third as far as a new one. ``stable_rank`` is the squared Frobenius norm over the squared largest singular value (Rudelson
    and Vershynin, "Sampling from large matrices", Journal of the ACM 2007): 1 when all channels are multiples of one, at most
    their number. New layers have about two thirds of that. Low values say that the channels repeat each other.

    Args:
        source: a weight file's path or content, see ``read_source``.

    Returns:
        The layers in the file's order; single filters are left out.

    Raises:
        CheckpointError: when there is no such file or no weights in it.
    """
    state = read_source(source).state
    return [
        _spectrum(key, value) for key, value in state.items() if value.dim() > 1 and min(value.flatten(1).shape) > 1
    ]


def _spectrum(key: str, value: torch.Tensor) -> LayerSpectrum:
    matrix = value.double().flatten(1)
    norm = matrix.norm().item()
    largest = torch.linalg.matrix_norm(matrix, 2).item()
    return LayerSpectrum(
        layer=key.removesuffix(".weight"),
        channels=len(matrix),
        norm_ratio=norm / math.sqrt(len(matrix) / 3),
        stable_rank=(norm / largest) ** 2 if largest else 0.0,
    )
