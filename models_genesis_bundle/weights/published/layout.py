"""A kind of published weight files: how it is recognised, and where its files come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Translation:
    """A file's tensors by the keys of a network that can be built here; one that the network does not have may have any key."""

    state: dict[str, torch.Tensor]
    target: str  # class of the network
    arguments: dict[str, Any]  # of its constructor, as far as the tensors show them
    preprocessing: dict[str, Any] | None  # of the training scans; None when the bundle has no such preprocessing


@dataclass(frozen=True)
class Layout:
    """A kind of published files, recognised by their tensors under any file name.

    ``read`` translates tensors without the prefixes of wrappers and ``backbone.``, and also gets the whole content of the file;
    None for another layout.
    """

    title: str  # in messages
    files: Mapping[str, str]  # address of each file, by the name to save it under, folder included
    licence: str
    page: str  # where the authors publish the licence
    data: str  # the training data
    read: Callable[[State, Mapping[str, Any]], Translation | None]
    lacks: str = ""  # begins the keys of the network that no such file holds; the transfer does not require them

    def record(self) -> dict[str, Any]:
        """Source, licence and training data of the weights."""
        return {"published": self.title, "source": self.page, "licence": self.licence, "description": self.data}


def hub(repository: str, *names: str, in_folder: bool = False) -> dict[str, str]:
    """Addresses of files on the Hugging Face Hub, by name; ``in_folder``: each in a folder with the repository's name."""
    folder = f"{repository.rpartition('/')[2]}/" if in_folder else ""
    return {f"{folder}{name}": f"https://huggingface.co/{repository}/resolve/main/{name}" for name in names}


def ct_window(lower: float, upper: float, **scans: Any) -> dict[str, Any]:
    """The record of scans whose HU from ``lower`` to ``upper`` become 0 … 1; ``scans``: as ``ScanPreprocessing`` has them."""
    return ScanPreprocessing(intensity=IntensityScaling("window", lower, upper), **scans).record()
