"""Convolutions of the size that new ones have, whatever a pretraining made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["weight_norms_kept"]

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)


@contextmanager
def weight_norms_kept(network: nn.Module) -> Iterator[None]:
    """Let every convolution right in front of a normalisation keep the Frobenius norm of its weights while others are loaded.

    The normalisation undoes the scale of what it gets, so that the network computes the same with scaled weights. The scale
    decides how far a step of a given learning rate turns them, though (van Laarhoven, "L2 regularization versus batch and weight
    normalization", arXiv 1706.05350): weights that grew in pretraining learn more slowly than new ones. A bias is scaled with
    its weights, and the running statistics of a batch normalisation with both.

    Such a convolution is followed by the normalisation in an ``nn.Sequential``, as in this package's networks and in MONAI's
    ``Convolution``. Others keep what is loaded.

    Args:
        network: any network, with the weights whose norms are to be kept; changed in place when the block has ended well.
    """
    norms = [(unit, normalisation, unit.weight.detach().norm()) for unit, normalisation in _normalised(network)]
    yield
    with torch.no_grad():
        for unit, normalisation, norm in norms:
            loaded = unit.weight.norm()
            if loaded > 0:
                _scale(unit, normalisation, norm / loaded)


def _normalised(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for unit, following in zip(block, list(block)[1:], strict=False):
                normalisation = following[0] if isinstance(following, nn.Sequential) and len(following) else following
                if isinstance(unit, CONVOLUTIONS) and isinstance(normalisation, NORMALISATIONS):
                    yield unit, normalisation


def _scale(unit: nn.Module, normalisation: nn.Module, factor: torch.Tensor) -> None:
    unit.weight.mul_(factor)
    if unit.bias is not None:
        unit.bias.mul_(factor)
    if getattr(normalisation, "running_mean", None) is not None:
        normalisation.running_mean.mul_(factor)
        normalisation.running_var.mul_(factor**2)
