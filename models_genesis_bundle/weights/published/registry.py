"""All published layouts that can be read."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from models_genesis_bundle.weights.published.keras_unet import KERAS_UNET
from models_genesis_bundle.weights.published.layout import PublishedLayout
from models_genesis_bundle.weights.published.nnunet import NNUNET
from models_genesis_bundle.weights.published.pytorch_unet import PYTORCH_UNET

__all__ = ["LAYOUTS", "published_layout"]

LAYOUTS = (PYTORCH_UNET, KERAS_UNET, NNUNET)


def published_layout(state: Mapping[str, torch.Tensor]) -> PublishedLayout | None:
    """The published layout that a state dict has; None when it has none.

    Args:
        state: tensors by key, wrappers' prefixes taken off.
    """
    return next((layout for layout in LAYOUTS if layout.recognises(state)), None)
