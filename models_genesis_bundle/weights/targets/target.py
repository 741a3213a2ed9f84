"""What the bundle knows of a framework that takes weights: its file form and its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError

__all__ = ["State", "Target", "TargetError"]

State = dict[str, torch.Tensor]


class TargetError(CheckpointError):
    """The weights of a network cannot be written in the form that was asked for; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """A file form, and the networks whose weights can be written in it.

    Attributes:
        name: as users give it.
        networks: class names of these networks.
        advice: what to do with the weights of another network.
        content: content of the file, from the tensors by the target's keys, the record of the preprocessing
            (``ScanPreprocessing.record``, or None) and the target's own options.
        rename: a network's tensors by the target's keys, each once; raises a ``TargetError`` when they have no place there.
        check: raises a ``TargetError`` for settings of a network that its tensors do not show and the target does not have.
        spatial_dims: of the networks; None: any.
        zyx: whether its arrays are (Z, Y, X), as nnU-Net's are, instead of (X, Y, Z).
        hub_files: the JSON files of a folder for the Hub, by name, from the content of the checkpoint; None: no such folder.
    """

    name: str
    networks: tuple[str, ...]
    advice: str
    content: Callable[..., dict[str, Any]]
    rename: Callable[[Mapping[str, torch.Tensor]], State] = dict
    check: Callable[[torch.nn.Module], None] | None = None
    spatial_dims: int | None = None
    zyx: bool = False
    hub_files: Callable[[dict[str, Any]], dict[str, Any]] | None = None
