"""Networks of MONAI as Auto3DSeg and users build them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.targets.target import State, Target

__all__ = ["DINTS", "DYNUNET", "SEGRESNET", "SEGRESNET2D", "SEGRESNET_ENCODER", "SWINUNETR"]

PRETRAIN = "Pretrain a SegResNetDS with configs/network_segresnet.yaml."

# SegResNetDS' encoder and what SegResNet calls the same tensors: a stage begins with the downsampling to it.
ENCODER_KEYS = (
    (r"encoder\.conv_init\.", lambda match: "convInit.conv."),
    (r"encoder\.layers\.(\d+)\.downsample\.", lambda match: f"down_layers.{int(match[1]) + 1}.0.conv."),
    (
        r"encoder\.layers\.(\d+)\.blocks\.(\d+)\.(conv\d)\.",
        lambda match: f"down_layers.{match[1]}.{int(match[2]) + 1}.{match[3]}.conv.",
    ),
    (
        r"encoder\.layers\.(\d+)\.blocks\.(\d+)\.(norm\d)\.",
        lambda match: f"down_layers.{match[1]}.{int(match[2]) + 1}.{match[3]}.",
    ),
)


def _checkpoint(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"state_dict": state, "epoch": 0, "best_metric": 0.0, "config": {"preprocessing": preprocessing}}


def _checkpoint_2d(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return _checkpoint({f"net.{key}": value for key, value in state.items()}, preprocessing)


def _encoder_alone(state: Mapping[str, torch.Tensor]) -> State:
    """The encoder by SegResNet's keys. The decoders differ: SegResNet upsamples by interpolation, and ends with a norm."""
    renamed = {}
    for key, value in state.items():
        for pattern, name in ENCODER_KEYS:
            if match := re.match(pattern, key):
                renamed[name(match) + key[match.end() :]] = value
    return renamed


SEGRESNET = Target("segresnet", ("SegResNetDS",), PRETRAIN, _checkpoint, spatial_dims=3)
SEGRESNET2D = Target("segresnet2d", ("SegResNetDS",), PRETRAIN, _checkpoint_2d, spatial_dims=2)
SEGRESNET_ENCODER = Target(
    "segresnet_encoder", ("SegResNetDS",), PRETRAIN, lambda state, preprocessing: {"state_dict": state}, _encoder_alone
)


DINTS = Target(
    name="dints",
    networks=("DiNTS",),
    advice="The network is searched for each task, so that no other fits: only the weights of a DiNTS can be written.",
    content=lambda state, preprocessing: state,
    spatial_dims=3,
)


DYNUNET = Target(
    name="dynunet",
    networks=("DynUNet",),
    advice="Pretrain a DynUNet with configs/network_dynunet.yaml.",
    content=lambda state, preprocessing: state,
)


SWINUNETR = Target(
    name="swinunetr",
    networks=("SwinUNETR",),
    advice="Pretrain a SwinUNETR with configs/network_swinunetr.yaml.",
    content=lambda state, preprocessing: {"state_dict": state},
    spatial_dims=3,
)
