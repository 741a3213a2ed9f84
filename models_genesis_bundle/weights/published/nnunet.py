"""``genesis_nnunet_luna16_006.model``: the published variant for nnU-Net's first version, a ``Generic_UNet``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.published.layout import PublishedLayout, Translation

__all__ = ["NNUNET"]

# The HU are z-scored by numbers that the authors give. The axes are those of nnU-Net, which reads scans as (Z, Y, X).
ZSCORE: dict[str, Any] = {
    "intensity": {"mode": "zscore", "lower": None, "upper": None, "mean": -775.8457, "std": 251.9326, "clip": 5.0},
    "spacing": None,
    "orientation": "SPL",
    "spatial_dims": 3,
    "volume": None,
}

STAGE = re.compile(r"conv_blocks_context\.(\d+)\.blocks\.([01])\.(.+)")
DEEPEST_STAGE = re.compile(r"conv_blocks_context\.\d+\.([01])\.blocks\.0\.(.+)")
DECODER_STAGE = re.compile(r"conv_blocks_localization\.(\d+)\.([01])\.blocks\.0\.(.+)")
UPSAMPLING = re.compile(r"tu\.(\d+)\.weight")
HEAD = re.compile(r"seg_outputs\.(\d+)\.weight")


def _recognises(state: Mapping[str, torch.Tensor]) -> bool:
    """One channel in, two out, kernels of three axes, two convolutions a stage, transposed convolutions, no head with a bias."""
    poolings = _poolings(state)
    first, *others = [*_first_convolutions(poolings), f"seg_outputs.{poolings - 1}.weight"]
    if poolings < 2 or not all(key in state and state[key].dim() == 5 for key in (first, *others)):
        return False
    head = others[-1]
    return state[first].shape[1] == 1 and state[head].shape[0] == 2 and head.replace("weight", "bias") not in state


def _translate(state: Mapping[str, torch.Tensor]) -> Translation:
    """As MONAI's ``DynUNet`` has the tensors.

    A convolution's bias is taken off again by the instance normalisation after it, so that ``DynUNet`` has none: the file's
    stay over. Its heads have a bias, the file's have none: zero.
    """
    poolings = _poolings(state)
    own = {_own_key(key, poolings): value for key, value in state.items()}
    own |= {
        key.replace("weight", "bias"): torch.zeros(value.shape[0])
        for key, value in own.items()
        if key.startswith(("output_block.", "deep_supervision_heads.")) and key.endswith("weight")
    }
    return Translation(own, {"_target_": "monai.networks.nets.dynunet.DynUNet", "arguments": _arguments(state)})


def _poolings(state: Mapping[str, torch.Tensor]) -> int:
    return sum(UPSAMPLING.fullmatch(key) is not None for key in state)


def _first_convolutions(poolings: int) -> list[str]:
    """The first convolution of each stage, finest first."""
    stages = [f"conv_blocks_context.{depth}.blocks.0.conv.weight" for depth in range(poolings)]
    return [*stages, f"conv_blocks_context.{poolings}.0.blocks.0.conv.weight"]


def _own_key(key: str, poolings: int) -> str:
    if match := STAGE.fullmatch(key):
        depth = int(match[1])
        stage = "input_block" if depth == 0 else f"downsamples.{depth - 1}"
        return f"{stage}.{_layer(match[2], match[3])}"
    if match := DEEPEST_STAGE.fullmatch(key):
        return f"bottleneck.{_layer(match[1], match[2])}"
    if match := DECODER_STAGE.fullmatch(key):
        return f"upsamples.{match[1]}.conv_block.{_layer(match[2], match[3])}"
    if match := UPSAMPLING.fullmatch(key):
        return f"upsamples.{match[1]}.transp_conv.conv.weight"
    if match := HEAD.fullmatch(key):  # theirs deepest first, DynUNet's the finest, then the next
        above = poolings - 1 - int(match[1])
        return f"{'output_block' if above == 0 else f'deep_supervision_heads.{above - 1}'}.conv.conv.weight"
    return key


def _layer(place: str, rest: str) -> str:
    """``conv.weight`` and ``instnorm.weight`` of a stage's first (0) or second (1) convolution."""
    number = int(place) + 1
    return f"norm{number}{rest.removeprefix('instnorm')}" if rest.startswith("instnorm.") else f"conv{number}.{rest}"


def _arguments(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
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


NNUNET = PublishedLayout(
    "genesis_nnunet_luna16_006.model", "the published nnU-Net variant", _recognises, _translate, ZSCORE
)
