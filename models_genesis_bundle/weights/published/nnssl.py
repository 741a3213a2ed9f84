"""nnssl's checkpoints of nnU-Net's ``ResidualEncoderUNet``, such as OpenMind's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, zscore
from models_genesis_bundle.weights.targets.axes import kernels_from_zyx
from models_genesis_bundle.weights.targets.nnunet_architecture import encoder_kernels
from models_genesis_bundle.weights.targets.nnunet_keys import each_once

__all__ = ["NNSSL"]

METHODS = ("MAE", "MG", "SimCLR", "SwinUNETR", "VF", "VoCo")


def _read(state: State, content: Mapping[str, Any]) -> Translation | None:
    """nnU-Net's own files have the same keys; nnssl's hold a plan for the adaptation as well.

    The arrays were (Z, Y, X), each scan's directions as its file has them, which are taken to be RAS here. Strides cannot be read
    off an encoder alone; they are those of ResEnc-L.
    """
    plan = content.get("nnssl_adaptation_plan")
    if not isinstance(plan, Mapping) or "encoder.stem.convs.0.conv.weight" not in state:
        return None
    pretraining = plan.get("pretrain_plan") or {}
    own = kernels_from_zyx(each_once(state), pretraining.get("transpose_forward", (0, 1, 2)))
    encoder = encoder_kernels(own)
    heads = [key for key in own if key.startswith("decoder.seg_layers.") and key.endswith("weight")]
    arguments = {
        "input_channels": own["encoder.stem.convs.0.conv.weight"].shape[1],
        "num_classes": len(own[heads[-1]]) if heads else 1,
        "n_stages": len(encoder),
        "features_per_stage": [len(kernels[0]) for kernels in encoder],
        "conv_op": torch.nn.Conv3d,
        "kernel_sizes": [list(kernels[0].shape[2:]) for kernels in encoder],
        "strides": [1, *[2] * (len(encoder) - 1)],
        "n_blocks_per_stage": [len(kernels) for kernels in encoder],
        "n_conv_per_stage_decoder": 1,
        "conv_bias": True,
        "norm_op": torch.nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": torch.nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    target = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    return Translation(own, target, arguments, _preprocessing(pretraining))


def _preprocessing(pretraining: Mapping[str, Any]) -> dict[str, Any] | None:
    """As the plan says it; None for intensities that are not scaled by each scan's own mean and standard deviation."""
    configurations = pretraining.get("configurations") or {}
    configuration: Mapping[str, Any] = next(iter(configurations.values()), {})
    if configuration.get("normalization_schemes") != ["ZScoreNormalization"]:
        return None
    spacing, axes = configuration.get("spacing"), pretraining.get("transpose_forward", (0, 1, 2))
    if spacing is not None:  # of the arrays' axes
        spacing = [side for _, side in sorted(zip(axes, spacing, strict=True), reverse=True)]
    return zscore(None, None, spacing)


NNSSL = Layout(
    "nnssl's ResEnc-L U-Net",
    {
        f"ResEncL-OpenMind-{method}/checkpoint_final.pth": (
            f"https://huggingface.co/MIC-DKFZ/ResEncL-OpenMind-{method}/resolve/main/checkpoint_final.pth"
        )
        for method in METHODS
    },
    "CC BY 4.0",
    "https://huggingface.co/MIC-DKFZ/ResEncL-OpenMind-MAE",
    "114 000 brain MR scans (OpenMind), by the authors of nnssl, or what the file's own plan names",
    _read,
)
