"""``Genesis_Chest_CT.pt``: the published PyTorch network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from models_genesis_bundle.weights.published.genesis_unet import CT_WINDOW, genesis_unet_definition
from models_genesis_bundle.weights.published.layout import PublishedLayout, Translation

__all__ = ["PYTORCH_UNET"]

# What the file's keys begin with, and ours. Its stages are named after their widths.
BEGINNINGS = {
    "down_tr64.ops.": "encoder.stages.0.",
    "down_tr128.ops.": "encoder.stages.1.",
    "down_tr256.ops.": "encoder.stages.2.",
    "down_tr512.ops.": "encoder.stages.3.",
    "up_tr256.up_conv.": "decoder.stages.0.up.",
    "up_tr256.ops.": "decoder.stages.0.convs.",
    "up_tr128.up_conv.": "decoder.stages.1.up.",
    "up_tr128.ops.": "decoder.stages.1.convs.",
    "up_tr64.up_conv.": "decoder.stages.2.up.",
    "up_tr64.ops.": "decoder.stages.2.convs.",
    "out_tr.final_conv.": "head.",
}
LAYERS = {".conv1.": ".conv.", ".bn1.": ".norm."}

TELLING = (
    "down_tr64.ops.0.conv1.weight",
    *(f"down_tr{width}.ops.1.conv1.weight" for width in (64, 128, 256, 512)),
    "out_tr.final_conv.weight",
)

# The published network normalises by the batch in evaluation as well. Its running statistics are in the file all the same.
BATCH_STATISTICS = ["batch", {"track_running_stats": False}]


def _recognises(state: Mapping[str, torch.Tensor]) -> bool:
    return all(key in state for key in TELLING)


def _translate(state: Mapping[str, torch.Tensor]) -> Translation:
    own = {_own_key(key): value for key, value in state.items()}
    return Translation(own, genesis_unet_definition(own, BATCH_STATISTICS, "deconv"))


def _own_key(key: str) -> str:
    beginning = next((beginning for beginning in BEGINNINGS if key.startswith(beginning)), "")
    own = BEGINNINGS.get(beginning, "") + key.removeprefix(beginning)
    for theirs, ours in LAYERS.items():
        own = own.replace(theirs, ours)
    return own


PYTORCH_UNET = PublishedLayout(
    "Genesis_Chest_CT.pt", "the published PyTorch network", _recognises, _translate, CT_WINDOW
)
