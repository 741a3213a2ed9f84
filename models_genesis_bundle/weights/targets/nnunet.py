"""nnU-Net version 2, ``nnUNetv2_train … -pretrained_weights FILE``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.targets.nnunet_architecture import decoder_kernels, encoder_kernels
from models_genesis_bundle.weights.targets.nnunet_keys import each_once, from_dynunet, with_aliases
from models_genesis_bundle.weights.targets.target import State, Target, TargetError
from monai.networks.layers.factories import split_args

__all__ = ["NNUNET", "NNUNET_NETWORKS", "PRETRAIN_FOR_NNUNET", "as_nnunet_names", "check_nnunet_settings"]

NNUNET_NETWORKS = ("DynUNet", "PlainConvUNet", "ResidualEncoderUNet")
PRETRAIN_FOR_NNUNET = "Pretrain with configs/network_dynunet.yaml (PlainConvUNet) or configs/network_resenc.yaml."


def as_nnunet_names(state: Mapping[str, torch.Tensor]) -> State:
    """The tensors of a ``DynUNet``, or of one of nnU-Net's own networks, by nnU-Net's keys, each once."""
    return from_dynunet(state) if "input_block.conv1.conv.weight" in state else each_once(state)


def check_nnunet_settings(network: torch.nn.Module) -> None:
    """Refuse a ``DynUNet`` that computes something else than a ``PlainConvUNet`` of the same tensors.

    Raises:
        TargetError: naming the setting.
    """
    if not hasattr(network, "upsample_kernel_size"):
        return
    norm, act = split_args(network.norm_name), split_args(network.act_name)
    if str(norm[0]).lower() != "instance" or not norm[1].get("affine"):
        raise TargetError(
            f"nnU-Net normalises by instance, with weights, but norm_name is {network.norm_name}: "
            "pretrain with norm_name: [INSTANCE, { affine: true }]."
        )
    if str(act[0]).lower() != "leakyrelu" or act[1].get("negative_slope", 0.01) != 0.01:
        raise TargetError(
            f"nnU-Net's activation is a leaky ReLU of slope 0.01, but act_name is {network.act_name}: "
            "pretrain with act_name: [leakyrelu, { inplace: true, negative_slope: 0.01 }]."
        )
    first, *rest = (torch.as_tensor(stride) for stride in network.strides)
    if (first != 1).any() or any((stride > 2).any() for stride in rest):
        raise TargetError(
            f"nnU-Net's strides are 1 in the first stage and 1 or 2 in the others, but strides is {network.strides}: "
            "pretrain with such strides."
        )


def _content(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    state = each_once(state)
    same_stage = [kernels[0].shape[2:] for kernels in reversed(encoder_kernels(state)[:-1])]
    if same_stage != [kernels[0].shape[2:] for kernels in decoder_kernels(state)]:
        raise TargetError(
            "In each stage of its decoder DynUNet has the kernel of the encoder's stage below, nnU-Net that of the same stage: "
            "with kernels of several sizes only the encoder goes over. Give the plans of the network that will be trained "
            "(plans=…), or pretrain with one kernel size."
        )
    return {"network_weights": with_aliases(state), "preprocessing": preprocessing}


NNUNET = Target(
    "nnunet", NNUNET_NETWORKS, PRETRAIN_FOR_NNUNET, _content, as_nnunet_names, check_nnunet_settings, zyx=True
)
