"""Auto3DSeg's ``dints``, through its key ``finetune``."""

from __future__ import annotations

from models_genesis_bundle.weights.targets.target import Target

__all__ = ["DINTS"]

DINTS = Target(
    name="dints",
    networks=("DiNTS",),
    advice="The network is searched for each task, so that no other fits: only the weights of a DiNTS can be written.",
    content=lambda state, preprocessing: state,
    spatial_dims=3,
)
