"""What is known of a published weight file, and how its tensors become those of a network here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["BASE_URL", "LICENCE", "PublishedLayout", "Translation"]

BASE_URL = "https://huggingface.co/MrGiovanni/ModelsGenesis/resolve/main"
LICENCE = "non-commercial use only, by the licence of Arizona State University"

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Translation:
    """A published file's tensors as a network here has them.

    Attributes:
        state: the tensors by the network's keys; one that the network has no use for may stand under any key.
        network: ``_target_`` and ``arguments`` of that network, as in ``network_record``.
    """

    state: dict[str, torch.Tensor]
    network: dict[str, Any]


@dataclass(frozen=True)
class PublishedLayout:
    """One kind of published file; it is recognised by its tensors' keys, whatever the file is called.

    Attributes:
        file: the name that it is published under.
        title: what messages call the network in it.
        recognises: whether a state dict is of this layout; all tensors that tell the widths are there then.
        translate: the state dict, of other widths as well, as a network here has it.
        preprocessing: how its training scans were prepared, as ``ScanPreprocessing.record`` gives it.
    """

    file: str
    title: str
    recognises: Callable[[State], bool]
    translate: Callable[[State], Translation]
    preprocessing: Mapping[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """What the weights were trained on, as far as it was published, and on what terms they may be used."""
        return {
            "file": self.file,
            "source": f"{BASE_URL}/{self.file}",
            "licence": LICENCE,
            "description": "CT scans of LUNA16, by the authors of Models Genesis",
        }
