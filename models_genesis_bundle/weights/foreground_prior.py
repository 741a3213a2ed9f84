"""A segmentation head whose first output is mostly background."""

from __future__ import annotations

import logging
import math

import torch
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, network_parts, unwrap

__all__ = ["set_foreground_prior"]

logger = logging.getLogger(__name__)


@torch.no_grad()
def set_foreground_prior(network: torch.nn.Module, probability: float | None) -> torch.nn.Module:
    """Set the biases of a new head so that softmax gives each foreground class a small probability.

    A new head gives all classes the same probability. With small structures, the first few hundred steps then only teach that
    most voxels are background, and classes with few voxels may never be predicted. Call it before weights are loaded: a loaded
    head keeps its own biases.

    Args:
        network: changed in place; its first output channel is background. A network without a known head (see
            ``network_parts``), or without biases there, stays as it is, and the log says so.
        probability: of all foreground classes together, which share it equally, above 0 and below 1; None keeps the biases.

    Raises:
        ValueError: a probability out of range.

    Source:
        Lin et al., *Focal loss for dense object detection*, ICCV 2017, section 4.1, for detection.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.weights import set_foreground_prior
        >>> network = set_foreground_prior(GenesisUNet(out_channels=3, features=(4, 8)), 0.02)
        >>> network.head.bias.detach().softmax(0)
        tensor([0.9800, 0.0100, 0.0100])
    """
    if probability is None:
        return network
    if not 0 < probability < 1:
        raise ValueError(
            f"foreground_prior::probability: expected a number above 0 and below 1, or null, found {probability}."
        )
    biases = _head_biases(unwrap(network))
    if not biases:
        logger.warning(
            "foreground_prior: %s has no known head with a bias for each class; it starts without the prior.",
            type(unwrap(network)).__name__,
        )
    for bias in biases:
        bias.fill_(math.log(probability / (len(bias) - 1)))
        bias[0] = math.log(1 - probability)
    return network


def _head_biases(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    try:
        head = network_parts(network)["head"]
    except UnknownLayoutError:
        return []
    parameters = dict(network.named_parameters())
    biases = [parameters[key] for key in head if key.endswith(".bias") and key in parameters]
    return [bias for bias in biases if len(bias) > 1]
