"""The weights that a run starts from, as a setting of its configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.sources import WeightSource, read_source, read_weight_file
from models_genesis_bundle.weights.transfer import transfer_weights
from models_genesis_bundle.weights.transfer_plan import TransferReport
from models_genesis_bundle.weights.weight_norms import weight_norms_kept

__all__ = ["InitialWeights"]

logger = logging.getLogger(__name__)


class InitialWeights:
    """A checkpoint to start from, or none: the network then trains from scratch, and the log says so.

    The file is read once, at its first use.

    Args:
        path: a checkpoint or a published file (see ``read_source``); None or ``"none"``: from scratch.
        parts: what to load, as in ``transfer_weights``.
        require: what must be loaded, as in ``transfer_weights``.
        key_map: as in ``transfer_weights``; None: the file's keys are the network's.
        keep_weight_norms: scale the loaded convolutions to the size of new ones, see ``weight_norms_kept``.

    Attributes:
        path: the checkpoint, or None.
        report: what became of each tensor; None before ``load_into`` and from scratch.

    Raises:
        CheckpointError: the file does not exist.

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
        self.path = None if path is None or str(path).lower() == "none" else Path(path)
        self.parts = parts
        self.require = require
        self.key_map = key_map
        self.keep_weight_norms = keep_weight_norms
        self.report: TransferReport | None = None
        if self.path is not None and not self.path.is_file():
            raise CheckpointError(
                f"{self.path}: there is no such file to take initial weights from. Give the path of a checkpoint, "
                "such as the model.pt of a pretraining run, or none to train from scratch."
            )

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
        """The record of the training data's preprocessing (``ScanPreprocessing.record``); None when the file has none."""
        return self.source.preprocessing

    def load_into(self, network: torch.nn.Module) -> torch.nn.Module:
        """Transfer the weights, log and keep the report, and return the network.

        Raises:
            TransferError: less fits than is required.
        """
        if self.path is None:
            logger.info("No initial weights: %s trains from scratch.", type(network).__name__)
        else:
            with weight_norms_kept(network) if self.keep_weight_norms else nullcontext():
                self.report = transfer_weights(
                    network, self.content, self.parts, self.require, self.key_map, name=str(self.path)
                )
            if self.keep_weight_norms:
                logger.info("Convolutions in front of a normalisation are scaled to the size of new ones.")
        return network

    def record(self) -> dict[str, Any]:
        """Plain values that name the start of a run, for the checkpoints that it writes.

        ``file``: the file's name, ``none`` from scratch. For a file also ``sha256``, ``data`` and ``initial_weights`` (the file's
        own records of its training data and its own start, None when it has none) and, after ``load_into``, ``transfer``
        (tensors and values by part and outcome).
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
