"""The arguments of nnU-Net's U-Nets, read off their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.targets.target import TargetError

__all__ = ["decoder_kernels", "encoder_kernels", "nnunet_architecture"]

Kernels = list[list[torch.Tensor]]


def encoder_kernels(state: Mapping[str, torch.Tensor]) -> Kernels:
    """The convolutions of each stage of the encoder, finest first; of a residual block the first one."""
    return _by_stage(state, r"encoder\.stages\.(\d+)\.(0\.convs\.\d+|blocks\.\d+\.conv1)\.conv\.weight")


def decoder_kernels(state: Mapping[str, torch.Tensor]) -> Kernels:
    """The convolutions of each stage of the decoder, deepest first."""
    return _by_stage(state, r"decoder\.stages\.(\d+)\.convs\.\d+\.conv\.weight")


def nnunet_architecture(state: Mapping[str, torch.Tensor]) -> tuple[str, dict[str, Any]]:
    """Class and arguments of the 3D network that the tensors are of, as nnU-Net's plans hold them.

    A stage's stride is the kernel of the transposed convolution that undoes it. Norm and activation cannot be read off; they
    are nnU-Net's: instance normalisation with weights, leaky ReLU of slope 0.01.

    Args:
        state: of a ``PlainConvUNet`` or a ``ResidualEncoderUNet``, by its own keys.

    Returns:
        The class's name, and its arguments but for the numbers of input channels and of classes.

    Raises:
        TargetError: for bottleneck blocks.
    """
    if any(".conv3." in key for key in state):
        raise TargetError("nnU-Net plans no ResidualEncoderUNet with bottleneck blocks: pretrain with BasicBlockD.")
    residual = "encoder.stem.convs.0.conv.weight" in state
    encoder, decoder = encoder_kernels(state), decoder_kernels(state)
    upsampling = _by_stage(state, r"decoder\.transpconvs\.(\d+)\.weight")
    arguments = {
        "n_stages": len(encoder),
        "features_per_stage": [kernels[0].shape[0] for kernels in encoder],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [list(kernels[0].shape[2:]) for kernels in encoder],
        "strides": [[1, 1, 1], *(list(kernels[0].shape[2:]) for kernels in reversed(upsampling))],
        "n_blocks_per_stage" if residual else "n_conv_per_stage": [len(kernels) for kernels in encoder],
        "n_conv_per_stage_decoder": [len(kernels) for kernels in decoder],
        "conv_bias": any(key.endswith(".conv.bias") for key in state),
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return ("ResidualEncoderUNet" if residual else "PlainConvUNet"), arguments


def _by_stage(state: Mapping[str, torch.Tensor], pattern: str) -> Kernels:
    stages: dict[int, list[torch.Tensor]] = {}
    for key, value in state.items():
        if match := re.fullmatch(pattern, key):
            stages.setdefault(int(match[1]), []).append(value)
    return [stages[number] for number in sorted(stages)]
