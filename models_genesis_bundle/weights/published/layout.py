"""The description of a group of published weight files: how to recognise, translate and download them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Translation:
    """The tensors of a file with the keys of a network here; tensors that the network lacks may have any key."""

    state: dict[str, torch.Tensor]
    target: str  # class of the network
    arguments: dict[str, Any]  # of its constructor, as far as the tensors show them
    preprocessing: dict[str, Any] | None  # of the training scans; None when the bundle has no such preprocessing


@dataclass(frozen=True)
class Layout:
    """A group of published files, recognised by their tensors, not by their names.

    ``read`` gets the tensors, without the prefixes of wrappers and ``backbone.``, and the whole content of the file. It returns
    None for files of another layout.
    """

    title: str  # in messages
    files: Mapping[str, str]  # address of each file, by the path to save it to
    licence: str
    page: str  # where the authors publish the licence
    data: str  # the training data
    read: Callable[[State, Mapping[str, Any]], Translation | None]
    lacks: str = ""  # pattern of keys that no such file has; the transfer does not require them

    def record(self) -> dict[str, Any]:
        """Source, licence and training data of the weights."""
        return {"published": self.title, "source": self.page, "licence": self.licence, "description": self.data}


def hub(repository: str, *names: str, in_folder: bool = False) -> dict[str, str]:
    """Addresses of files on the Hugging Face Hub by name; ``in_folder`` puts them into a folder with the repository's name."""
    folder = f"{repository.rpartition('/')[2]}/" if in_folder else ""
    return {f"{folder}{name}": f"https://huggingface.co/{repository}/resolve/main/{name}" for name in names}


def ct_window(lower: float, upper: float, **scans: Any) -> dict[str, Any]:
    """The record of CT scans with HU ``lower`` … ``upper`` scaled to 0 … 1; ``scans`` are arguments of ``ScanPreprocessing``."""
    return ScanPreprocessing(intensity=IntensityScaling("window", lower, upper), **scans).record()
