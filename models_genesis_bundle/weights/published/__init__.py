"""Weight files that others published: the table of all that the bundle reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.weights.key_parts import renamed
from models_genesis_bundle.weights.published.genesis_unets import KERAS_UNET, PYTORCH_UNET, SUPREM_UNET
from models_genesis_bundle.weights.published.layout import Layout, State, Translation
from models_genesis_bundle.weights.published.monai_networks import (
    CT_FM,
    NVIDIA_SWIN,
    SUPREM_SEGRESNET,
    SUPREM_SWINUNETR,
    VOCO,
)
from models_genesis_bundle.weights.published.nnunets import NNSSL, NNUNET

__all__ = ["FILES", "KNOWN", "LAYOUTS", "translated"]

GENESIS = (PYTORCH_UNET, KERAS_UNET, NNUNET)
SUPREM = (SUPREM_UNET, SUPREM_SEGRESNET, SUPREM_SWINUNETR)
LAYOUTS = (*GENESIS, *SUPREM, VOCO, NVIDIA_SWIN, CT_FM, NNSSL)
FILES = {name: layout for layout in LAYOUTS for name in layout.files}
KNOWN = ", ".join(layout.title for layout in LAYOUTS)
BACKBONE = r"^(?:model\.)?backbone\."  # what trainings with more than the network put before its keys


def translated(state: State, content: Mapping[str, Any]) -> tuple[Layout, Translation] | None:
    """The layout of a file, and its tensors by the keys of a network here; None for a file of no known layout."""
    bare = renamed(state, (BACKBONE, ""))
    found = ((layout, layout.read(bare, content)) for layout in LAYOUTS)
    return next(((layout, own) for layout, own in found if own is not None), None)
