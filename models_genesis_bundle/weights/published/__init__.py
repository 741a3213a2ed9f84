"""The published weight files that the bundle reads."""

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

LAYOUTS = (
    *(PYTORCH_UNET, KERAS_UNET, NNUNET),  # of Models Genesis
    *(SUPREM_UNET, SUPREM_SEGRESNET, SUPREM_SWINUNETR),
    *(VOCO, NVIDIA_SWIN, CT_FM, NNSSL),
)
FILES = {name: layout for layout in LAYOUTS for name in layout.files}
KNOWN = ", ".join(layout.title for layout in LAYOUTS)
BACKBONE = r"^(?:model\.)?backbone\."  # in files with more than the network


def translated(state: State, content: Mapping[str, Any]) -> tuple[Layout, Translation] | None:
    """The layout of a published file and its translation; None for other files."""
    bare = renamed(state, (BACKBONE, ""))
    translations = ((layout, layout.read(bare, content)) for layout in LAYOUTS)
    return next(((layout, translation) for layout, translation in translations if translation is not None), None)
