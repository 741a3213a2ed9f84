"""MONAI's ``DynUNet``: the state dict alone, as ``load_state_dict`` takes it."""

from __future__ import annotations

from models_genesis_bundle.weights.targets.target import Target

__all__ = ["DYNUNET"]

DYNUNET = Target(
    name="dynunet",
    networks=("DynUNet",),
    advice="Pretrain a DynUNet with configs/network_dynunet.yaml.",
    content=lambda state, preprocessing: state,
)
