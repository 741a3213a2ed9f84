"""The definition of a GenesisUNet, read off its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["CT_WINDOW", "STAGES", "genesis_unet_definition"]

STAGES = 4  # of the published networks' encoder

# HU -1000 … 1000 to 0 … 1, as ScanPreprocessing records it. The spacing is each scan's own, and the axes are those of LUNA16's
# files, which run to the left, to the back and to the head.
CT_WINDOW: dict[str, Any] = {
    "intensity": {"mode": "window", "lower": -1000.0, "upper": 1000.0, "mean": None, "std": None, "clip": 5.0},
    "spacing": None,
    "orientation": "LPS",
    "spatial_dims": 3,
    "volume": None,
}


def genesis_unet_definition(state: Mapping[str, torch.Tensor], norm: Any, upsample: str) -> dict[str, Any]:
    """Class and arguments, as in ``network_record``, of the published network with a state dict's widths.

    Args:
        state: by the keys of ``GenesisUNet``; the encoder's convolutions and the head's tell channels and widths.
        norm: the normalisation.
        upsample: how the decoder upsamples.
    """
    return {
        "_target_": "models_genesis_bundle.networks.genesis_unet.GenesisUNet",
        "arguments": {
            "in_channels": state["encoder.stages.0.0.conv.weight"].shape[1],
            "out_channels": state["head.weight"].shape[0],
            "features": [state[f"encoder.stages.{stage}.1.conv.weight"].shape[0] for stage in range(STAGES)],
            "norm": norm,
            "upsample": upsample,
            "output_activation": "sigmoid",
        },
    }
