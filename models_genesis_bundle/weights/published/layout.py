"""What is known of the weight files of one kind that others published."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Layout", "Translation", "ct_window", "hub", "renamed", "zscore"]

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Translation:
    """A file's tensors as a network here has them.

    Attributes:
        state: the tensors by the network's keys; one that the network has no use for may stand under any key.
        target: class of that network.
        arguments: of its constructor, as far as the tensors tell them.
        preprocessing: how the training scans were prepared, as ``ScanPreprocessing.record`` gives it; None when the file is of
            preprocessing that is not known here.
    """

    state: dict[str, torch.Tensor]
    target: str
    arguments: Mapping[str, Any]
    preprocessing: Mapping[str, Any] | None


@dataclass(frozen=True)
class Layout:
    """Files of one kind, recognised by their tensors, whatever the file is called.

    Attributes:
        title: what messages call them.
        files: name to save a file under, folder included, and its address.
        licence: of the files, in words.
        page: where the licence stands.
        data: what the weights were trained on.
        read: the translation of tensors by key, wrappers' prefixes taken off, and of all that the file holds; None when the file
            is of another layout.
        lacks: beginning of the keys, as a regular expression, of tensors of the network that no such file holds; the transfer
            does not require them.
    """

    title: str
    files: Mapping[str, str]
    licence: str
    page: str
    data: str
    read: Callable[[State, Mapping[str, Any]], Translation | None]
    lacks: str = ""

    def record(self) -> dict[str, Any]:
        """What the weights were trained on, as far as it was published, and on what terms they may be used."""
        return {"published": self.title, "source": self.page, "licence": self.licence, "description": self.data}


def hub(repository: str, *names: str) -> dict[str, str]:
    """Addresses of a repository's files on the Hugging Face Hub, by name."""
    return {name: f"https://huggingface.co/{repository}/resolve/main/{name}" for name in names}


def renamed(state: State, *changes: tuple[str, str]) -> dict[str, torch.Tensor]:
    """The tensors by other keys.

    Args:
        state: tensors by key.
        changes: regular expression and replacement, as ``re.sub`` takes them, one after the other.
    """
    own = {}
    for key, value in state.items():
        for pattern, replacement in changes:
            key = re.sub(pattern, replacement, key)
        own[key] = value
    return own


def ct_window(
    lower: float, upper: float, spacing: Sequence[float] | None = None, orientation: str = "RAS"
) -> dict[str, Any]:
    """The record of scans whose HU are clipped and scaled to 0 … 1.

    Args:
        lower: HU that become 0.
        upper: HU that become 1.
        spacing: sides of a voxel in millimetres; None: the scan's own.
        orientation: the axes.
    """
    limits = {"mode": "window", "lower": lower, "upper": upper, "mean": None, "std": None, "clip": 5.0}
    return _record(limits, spacing, orientation)


def zscore(
    mean: float | None, std: float | None, spacing: Sequence[float] | None = None, orientation: str = "RAS"
) -> dict[str, Any]:
    """The record of scans from which a mean is subtracted before division by a standard deviation; None: the scan's own."""
    limits = {"mode": "zscore", "lower": None, "upper": None, "mean": mean, "std": std, "clip": 5.0}
    return _record(limits, spacing, orientation)


def _record(intensity: dict[str, Any], spacing: Sequence[float] | None, orientation: str) -> dict[str, Any]:
    return {
        "intensity": intensity,
        "spacing": None if spacing is None else [float(side) for side in spacing],
        "orientation": orientation,
        "spatial_dims": 3,
        "volume": None,
    }
