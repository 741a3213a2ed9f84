"""``genesis_nnunet_luna16_006.model``: the published variant for nnU-Net's first version, a ``Generic_UNet``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.published.genesis_unets import GENESIS
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, hub, renamed, zscore

__all__ = ["NNUNET"]


def _recognises(state: State) -> bool:
    """One channel in, two out, kernels of three axes, two convolutions a stage, transposed convolutions, no head with a bias."""
    poolings = _poolings(state)
    first, *others = [*_first_convolutions(poolings), f"seg_outputs.{poolings - 1}.weight"]
    if poolings < 2 or not all(key in state and state[key].dim() == 5 for key in (first, *others)):
        return False
    head = others[-1]
    return state[first].shape[1] == 1 and state[head].shape[0] == 2 and head.replace("weight", "bias") not in state


def _read(state: State, content: Mapping[str, Any]) -> Translation | None:
    """As MONAI's ``DynUNet`` has the tensors.

    A convolution's bias is taken off again by the instance normalisation after it, so that ``DynUNet`` has none: the file's
    stay over. Its heads have a bias, the file's have none: zero.
    """
    if not _recognises(state):
        return None
    poolings = _poolings(state)
    own = renamed(state, *_keys(poolings))
    own |= {
        key.replace("weight", "bias"): torch.zeros(value.shape[0])
        for key, value in own.items()
        if key.startswith(("output_block.", "deep_supervision_heads.")) and key.endswith("weight")
    }
    # The HU are z-scored by numbers that the authors give. The axes are those of nnU-Net, which reads scans as (Z, Y, X).
    scans = zscore(-775.8457, 251.9326, orientation="SPL")
    return Translation(own, "monai.networks.nets.dynunet.DynUNet", _arguments(state), scans)


def _poolings(state: State) -> int:
    return sum(key.startswith("tu.") and key.endswith(".weight") for key in state)


def _first_convolutions(poolings: int) -> list[str]:
    """The first convolution of each stage, finest first."""
    stages = [f"conv_blocks_context.{depth}.blocks.0.conv.weight" for depth in range(poolings)]
    return [*stages, f"conv_blocks_context.{poolings}.0.blocks.0.conv.weight"]


def _keys(poolings: int) -> list[tuple[str, str]]:
    """The changes from their keys to ``DynUNet``'s. Heads are theirs deepest first, here the finest, then the next."""
    stages = ["input_block", *(f"downsamples.{depth}" for depth in range(poolings - 1))]
    heads = ["output_block", *(f"deep_supervision_heads.{above}" for above in range(poolings - 1))]
    changes = [(r"^tu\.(\d+)\.", r"upsamples.\1.transp_conv.conv.")]
    changes += [(rf"^seg_outputs\.{number}\.", f"{head}.conv.conv.") for number, head in enumerate(reversed(heads))]
    for place in (0, 1):
        for depth, stage in enumerate(stages):
            changes.append((rf"^conv_blocks_context\.{depth}\.blocks\.{place}\.", f"{stage}.{place + 1}"))
        changes.append((rf"^conv_blocks_context\.{poolings}\.{place}\.blocks\.0\.", f"bottleneck.{place + 1}"))
        decoder = rf"^conv_blocks_localization\.(\d+)\.{place}\.blocks\.0\."
        changes.append((decoder, rf"upsamples.\1.conv_block.{place + 1}"))
    return [*changes, (r"\.([12])conv\.", r".conv\1.conv."), (r"\.([12])instnorm\.", r".norm\1.")]


def _arguments(state: State) -> dict[str, Any]:
    poolings = _poolings(state)
    kernels = [state[key] for key in _first_convolutions(poolings)]
    strides = [list(state[f"tu.{number}.weight"].shape[2:]) for number in reversed(range(poolings))]
    return {
        "spatial_dims": 3,
        "in_channels": kernels[0].shape[1],
        "out_channels": state[f"seg_outputs.{poolings - 1}.weight"].shape[0],
        "kernel_size": [list(kernel.shape[2:]) for kernel in kernels],
        "strides": [[1, 1, 1], *strides],
        "upsample_kernel_size": strides,
        "filters": [kernel.shape[0] for kernel in kernels],
        "norm_name": ["INSTANCE", {"affine": True}],
        "act_name": ["leakyrelu", {"inplace": True, "negative_slope": 0.01}],
        "deep_supervision": False,
        "res_block": False,
    }


NNUNET = Layout(
    "Models Genesis' nnU-Net", hub("MrGiovanni/ModelsGenesis", "genesis_nnunet_luna16_006.model"), read=_read, **GENESIS
)
