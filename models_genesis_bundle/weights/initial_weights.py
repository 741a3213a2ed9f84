"""Initial weights of a network: pretrained or random, and a prior for the biases of a new head."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, network_parts, unwrap
from models_genesis_bundle.weights.sources import WeightSource, find_weights, read_source, read_weight_file
from models_genesis_bundle.weights.transfer import transfer_weights
from models_genesis_bundle.weights.transfer_report import TransferReport
from models_genesis_bundle.weights.weight_norms import weight_norms_kept

logger = logging.getLogger(__name__)


class InitialWeights:
    """The checkpoint that a training starts from, or none for training from scratch. The file is read once, at its first use.

    Args:
        path: a weight file, or another source that ``find_weights`` accepts; None or ``"none"``: from scratch.
        parts: the parts to load, see ``transfer_weights``.
        require: the parts that must be loaded.
        key_map: prefixes of the file's keys and their replacements.
        keep_weight_norms: scale the loaded convolutions to the size of new ones, see ``weight_norms_kept``.

    Attributes:
        path: the checkpoint, or None.
        report: the outcome for each tensor; None before ``load_into`` and from scratch.

    Raises:
        CheckpointError: there is no such file.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.weights import InitialWeights, write_weights
        >>> path = write_weights("pretrained.pt", GenesisUNet(features=(4, 8)))
        >>> report = InitialWeights(path, parts=["encoder"]).load_into(GenesisUNet(features=(4, 8)))
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        parts: str | Sequence[str] = ("encoder", "decoder"),
        require: str | Sequence[str] = ("encoder",),
        key_map: Mapping[str, str] | None = None,
        keep_weight_norms: bool = False,
    ) -> None:
        self.path = None if path is None or str(path).lower() == "none" else find_weights(path)
        self.parts = parts
        self.require = require
        self.key_map = key_map
        self.keep_weight_norms = keep_weight_norms
        self.report: TransferReport | None = None

    @cached_property
    def content(self) -> dict[str, Any]:
        """The content of the checkpoint; empty from scratch."""
        return {} if self.path is None else read_weight_file(self.path)

    @cached_property
    def source(self) -> WeightSource:
        """The checkpoint's tensors and records; empty from scratch."""
        return WeightSource("none", {}) if self.path is None else read_source(self.content, str(self.path))

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """The record of the training data's preprocessing (``ScanPreprocessing.record``), if there is one."""
        return self.source.preprocessing

    def load_into(self, network: torch.nn.Module) -> torch.nn.Module:
        """Transfer the weights, log and keep the report, and return the network.

        Raises:
            TransferError: a required tensor is missing or does not fit.
        """
        if self.path is None:
            logger.info("No initial weights: %s trains from scratch.", type(network).__name__)
            return network
        with weight_norms_kept(network) if self.keep_weight_norms else nullcontext():
            self.report = transfer_weights(
                network, self.content, self.parts, self.require, self.key_map, name=str(self.path)
            )
        if self.keep_weight_norms:
            logger.info("Loaded convolutions before a normalisation were rescaled to the weight norm of new ones.")
        return network

    def record(self) -> dict[str, Any]:
        """Plain values that describe the initial weights, for the checkpoints of the run.

        ``file`` is the file's name, or ``none``. For a file there are also its ``sha256``, its records ``data`` and
        ``initial_weights`` (or None) and, after ``load_into``, ``transfer``: ``report.counts()``.
        """
        if self.path is None:
            return {"file": "none"}
        record = {
            "file": self.path.name,
            "sha256": file_sha256(self.path),
            "data": self.source.data,
            "initial_weights": self.content.get("initial_weights"),
        }
        return record if self.report is None else record | {"transfer": self.report.counts()}


@torch.no_grad()
def set_foreground_prior(network: torch.nn.Module, probability: float | None) -> torch.nn.Module:
    """Set the biases of a new head so that softmax gives each foreground class a small probability.

    A new head gives all classes the same probability. With small structures, the first few hundred steps then only teach that
    most voxels are background, and classes with few voxels may never be predicted. Call it before weights are loaded.

    Args:
        network: changed in place; its first output channel is the background. If it has no known head (see ``network_parts``), or
            a head without biases, nothing changes and a warning is logged.
        probability: total probability of the foreground classes, above 0 and below 1, in equal parts; None: no change.

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
    bare = unwrap(network)
    try:
        head = network_parts(bare)["head"]
    except UnknownLayoutError:
        head = []
    parameters = {key: value for key, value in bare.named_parameters() if key in head}
    biases = [value for key, value in parameters.items() if key.endswith(".bias") and len(value) > 1]
    if not biases:
        logger.warning(
            "foreground_prior: %s has no known head with a bias for each class; the prior is not set.",
            type(bare).__name__,
        )
    for bias in biases:
        bias.fill_(math.log(probability / (len(bias) - 1)))
        bias[0] = math.log(1 - probability)
    return network
