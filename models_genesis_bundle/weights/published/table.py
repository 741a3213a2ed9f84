"""The table of all published files that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.weights.published.genesis_unets import KERAS_UNET, PYTORCH_UNET, SUPREM_UNET
from models_genesis_bundle.weights.published.layout import Layout, State, Translation
from models_genesis_bundle.weights.published.nnssl import NNSSL
from models_genesis_bundle.weights.published.nnunet import NNUNET
from models_genesis_bundle.weights.published.seg_res_nets import CT_FM, SUPREM_SEGRESNET
from models_genesis_bundle.weights.published.swin_unetrs import NVIDIA_SWIN, SUPREM_SWINUNETR, VOCO

__all__ = ["FILES", "KNOWN", "LAYOUTS", "translated"]

LAYOUTS = (
    PYTORCH_UNET,
    KERAS_UNET,
    NNUNET,
    SUPREM_UNET,
    SUPREM_SEGRESNET,
    SUPREM_SWINUNETR,
    VOCO,
    NVIDIA_SWIN,
    CT_FM,
    NNSSL,
)
FILES = {name: layout for layout in LAYOUTS for name in layout.files}
KNOWN = ", ".join(layout.title for layout in LAYOUTS)


def translated(state: State, content: Mapping[str, Any]) -> tuple[Layout, Translation] | None:
    """The layout that a file has, and its tensors as a network here has them; None when it has none of those known.

    Args:
        state: tensors by key, wrappers' prefixes taken off.
        content: all that the file holds.
    """
    for layout in LAYOUTS:
        if translation := layout.read(state, content):
            return layout, translation
    return None
