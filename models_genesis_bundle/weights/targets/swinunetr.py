"""Auto3DSeg's ``swinunetr``, through its keys ``use_pretrain`` and ``pretrained_path``."""

from __future__ import annotations

from models_genesis_bundle.weights.targets.target import Target

__all__ = ["SWINUNETR"]

SWINUNETR = Target(
    name="swinunetr",
    networks=("SwinUNETR",),
    advice="Pretrain a SwinUNETR with configs/network_swinunetr.yaml.",
    content=lambda state, preprocessing: {"state_dict": state},
    spatial_dims=3,
)
