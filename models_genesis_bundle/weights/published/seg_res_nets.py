"""MONAI's ``SegResNet`` of SuPreM, and the encoder of ``SegResNetDS`` of CT-FM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.weights.published.genesis_unets import ABDOMEN, SUPREM
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, ct_window, hub, renamed
from models_genesis_bundle.weights.targets.axes import kernels_from_zyx

__all__ = ["CT_FM", "SUPREM_SEGRESNET"]

SUPREM_WIDTH, SUPREM_CLASSES = 16, 32


def _read_suprem(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The keys are MONAI's own; width and number of classes are SuPreM's."""
    first, head = state.get("convInit.conv.weight"), state.get("conv_final.2.conv.weight")
    if first is None or head is None or first.shape[:2] != (SUPREM_WIDTH, 1) or len(head) != SUPREM_CLASSES:
        return None
    arguments = {
        "spatial_dims": 3,
        "init_filters": SUPREM_WIDTH,
        "in_channels": 1,
        "out_channels": SUPREM_CLASSES,
        "blocks_down": _blocks(state, "down_layers.{}.{}.conv1.conv.weight", first=1),
        "blocks_up": _blocks(state, "up_layers.{}.{}.conv1.conv.weight"),
    }
    return Translation(dict(state), "monai.networks.nets.segresnet.SegResNet", arguments, ABDOMEN)


def _read_ct_fm(state: State, content: Mapping[str, Any]) -> Translation | None:
    """An encoder alone, or in front of the head of its pretraining; its arrays were (Z, Y, X), at 3 x 1 x 1 mm, axes SPL."""
    own = renamed(
        state, (r"^(?:model\.)?backbone\.(?=conv_init\.|layers\.)", ""), (r"^(?=conv_init\.|layers\.)", "encoder.")
    )
    first = own.get("encoder.conv_init.weight")
    if first is None or "encoder.conv_init.weight" in state or "encoder.layers.0.blocks.0.conv1.weight" not in own:
        return None
    arguments = {
        "spatial_dims": 3,
        "init_filters": len(first),
        "in_channels": first.shape[1],
        "blocks_down": _blocks(own, "encoder.layers.{}.blocks.{}.conv1.weight"),
        "norm": "BATCH" if "encoder.layers.0.blocks.0.norm1.running_mean" in own else "INSTANCE",
    }
    scans = ct_window(-1024.0, 2048.0, (1.0, 1.0, 3.0), "LPS")
    return Translation(kernels_from_zyx(own), "monai.networks.nets.segresnet_ds.SegResNetDS", arguments, scans)


def _blocks(state: State, key: str, first: int = 0) -> list[int]:
    """How many blocks each stage has; ``first`` is the number of a stage's first one in the keys."""
    counts: list[int] = []
    while key.format(len(counts), first) in state:
        stage, place = len(counts), first
        while key.format(stage, place) in state:
            place += 1
        counts.append(place - first)
    return counts


SUPREM_SEGRESNET = Layout(
    "SuPreM's SegResNet", hub("MrGiovanni/SuPreM", "supervised_suprem_segresnet_2100.pth"), read=_read_suprem, **SUPREM
)
CT_FM = Layout(
    "CT-FM's SegResEncoder",
    {
        f"ct_fm_feature_extractor/{name}": address
        for name, address in hub("project-lighter/ct_fm_feature_extractor", "model.safetensors").items()
    },
    "Apache-2.0",
    "https://huggingface.co/project-lighter/ct_fm_feature_extractor",
    "148 000 CT scans of the Imaging Data Commons, by the authors of CT-FM",
    _read_ct_fm,
)
