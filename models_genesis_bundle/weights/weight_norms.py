"""Norms of the weights of layers: measurement in a file, and scaling of loaded weights."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from models_genesis_bundle.weights.sources import read_source
from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)


class LayerSpectrum(NamedTuple):
    """Size and shape of a layer's weights, as a matrix with a row for each channel."""

    layer: str
    channels: int
    norm_ratio: float
    stable_rank: float


def layer_spectra(source: str | os.PathLike | Mapping[str, Any]) -> list[LayerSpectrum]:
    """The size and the stable rank of every convolution and dense layer in a weight file.

    ``norm_ratio`` is the Frobenius norm divided by √(rows / 3), the mean norm under PyTorch's default initialisation. At a ratio
    of 3, a step changes the direction of the weights in front of a normalisation a third as much as in a new layer.
    ``stable_rank`` is the squared Frobenius norm divided by the squared largest singular value (Rudelson and Vershynin, "Sampling
    from large matrices", Journal of the ACM 2007). It is 1 if all channels are multiples of one channel, and about two thirds of
    the number of channels in new layers.

    Args:
        source: a weight file's path or content, as ``transfer_weights`` reads it.

    Returns:
        The layers in the file's order, without single filters.

    Raises:
        CheckpointError: the file does not exist, or has no weights.
    """
    spectra = []
    for key, value in read_source(source).state.items():
        if value.dim() > 1 and min(value.flatten(1).shape) > 1:
            matrix = value.double().flatten(1)
            norm, largest = matrix.norm().item(), torch.linalg.matrix_norm(matrix, 2).item()
            rank = (norm / largest) ** 2 if largest else 0.0
            spectra.append(
                LayerSpectrum(key.removesuffix(".weight"), len(matrix), norm / math.sqrt(len(matrix) / 3), rank)
            )
    return spectra


@contextmanager
def weight_norms_kept(network: nn.Module) -> Iterator[None]:
    """Scale weights that are loaded in this context, so that convolutions in front of a normalisation keep their Frobenius norm.

    The outputs do not change, because the normalisation removes the scale. But weights that grew in pretraining learn more slowly
    than new ones: their scale determines how far a step of a given learning rate changes their direction (van Laarhoven, "L2
    regularization versus batch and weight normalization", arXiv 1706.05350). Biases and the running statistics of batch
    normalisations are scaled as well. Only convolutions that a normalisation follows in an ``nn.Sequential`` are scaled, as in
    this package's networks and in MONAI's ``Convolution``.
    """
    norms = [(unit, normalisation, unit.weight.detach().norm()) for unit, normalisation in _normalised(network)]
    yield
    with torch.no_grad():
        for unit, normalisation, norm in norms:
            loaded = unit.weight.norm()
            if loaded == 0:
                continue
            unit.weight.mul_(norm / loaded)
            if unit.bias is not None:
                unit.bias.mul_(norm / loaded)
            if getattr(normalisation, "running_mean", None) is not None:
                normalisation.running_mean.mul_(norm / loaded)
                normalisation.running_var.mul_((norm / loaded) ** 2)


def _normalised(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for unit, following in zip(block, list(block)[1:], strict=False):
                normalisation = following[0] if isinstance(following, nn.Sequential) and len(following) else following
                if isinstance(unit, CONVOLUTIONS) and isinstance(normalisation, NORMALISATIONS):
                    yield unit, normalisation
