"""What is to be known of a place where weights go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError

__all__ = ["State", "Target", "TargetError", "same_keys"]

State = dict[str, torch.Tensor]


class TargetError(CheckpointError):
    """A network's weights cannot be had in the form that was asked for; the message says why and what to do."""


def same_keys(state: Mapping[str, torch.Tensor]) -> State:
    """The tensors under the keys that they have."""
    return dict(state)


def _any_settings(network: torch.nn.Module) -> None:
    """No setting of the network is in the way."""


@dataclass(frozen=True)
class Target:
    """A file form, and which networks' weights can be written in it.

    Attributes:
        name: as users give it.
        networks: class names of the networks that it takes.
        advice: what to do with the weights of another one.
        content: what the file holds, from the tensors by the target's keys, how the training data was preprocessed
            (``ScanPreprocessing.record``, or None) and the target's own options.
        rename: a network's tensors by the target's keys, each once; a ``TargetError`` when they have no place there.
        check: raises a ``TargetError`` for a network whose settings, which no tensor shows, the target does not have.
        spatial_dims: of the networks; None: any.
        zyx: whether its arrays are (Z, Y, X), as nnU-Net's are, not (X, Y, Z).
        folder: JSON files that a folder for the hub holds next to the checkpoint, by name: what each holds, from the checkpoint's
            content. Empty: there is no such folder.
        checkpoint_name: name of the checkpoint in that folder.
    """

    name: str
    networks: tuple[str, ...]
    advice: str
    content: Callable[..., dict[str, Any]]
    rename: Callable[[Mapping[str, torch.Tensor]], State] = same_keys
    check: Callable[[torch.nn.Module], None] = _any_settings
    spatial_dims: int | None = None
    zyx: bool = False
    folder: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    checkpoint_name: str = ""
