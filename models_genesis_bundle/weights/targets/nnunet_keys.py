"""What nnU-Net's U-Nets call their tensors, and what MONAI's ``DynUNet`` calls the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from models_genesis_bundle.weights.targets.target import State, TargetError

__all__ = ["each_once", "from_dynunet", "with_aliases"]


def each_once(state: Mapping[str, torch.Tensor]) -> State:
    """A U-Net's tensors under one key each, without the aliases of ``with_aliases``."""
    return {
        key: value
        for key, value in state.items()
        if not key.startswith("decoder.encoder.") and ".all_modules." not in key
    }


def with_aliases(state: Mapping[str, torch.Tensor]) -> State:
    """A U-Net's tensors under all keys that nnU-Net looks for.

    Each block lists its convolution and its norm a second time, as ``all_modules.0`` and ``all_modules.1``, and the decoder
    holds the encoder.

    Args:
        state: each tensor under one key, as ``each_once`` gives it.
    """
    listed = dict(state)
    for key, value in state.items():
        before, found, after = key.rpartition(".conv.")
        listed[f"{before}.all_modules.0.{after}" if found else key] = value
        before, found, after = key.rpartition(".norm.")
        listed[f"{before}.all_modules.1.{after}" if found else key] = value
    return listed | {f"decoder.{key}": value for key, value in listed.items() if key.startswith("encoder.")}


def from_dynunet(state: Mapping[str, torch.Tensor]) -> State:
    """The tensors of a ``DynUNet`` by the keys of nnU-Net's ``PlainConvUNet`` with two convolutions a stage.

    The same network: nnU-Net gives convolutions a bias, which is zero here.

    Args:
        state: of a ``DynUNet``; the tensors that it lists a second time under ``skip_layers`` may be there or not.

    Raises:
        TargetError: for residual blocks and for other norms than instance normalisation with weights.
    """
    _require_plain(state)
    stages = 2 + len({key.split(".")[1] for key in state if key.startswith("downsamples.")})
    named: State = {}
    for key, value in state.items():
        name = _plain_conv_unet_key(key, stages)
        if name is None:
            continue
        named[name] = value
        if name.endswith(".weight") and value.dim() > 2 and ".seg_layers." not in name:
            outputs = value.shape[1 if ".transpconvs." in name else 0]
            named.setdefault(name.removesuffix("weight") + "bias", value.new_zeros(outputs))
    return named


def _require_plain(state: Mapping[str, torch.Tensor]) -> None:
    if any(".conv3." in key for key in state):
        raise TargetError(
            "nnU-Net has no network with DynUNet's residual blocks: pretrain with res_block: false, as in "
            "configs/network_dynunet.yaml, or nnU-Net's own residual network with configs/network_resenc.yaml."
        )
    if "input_block.norm1.weight" not in state or any(key.endswith("running_mean") for key in state):
        raise TargetError(
            "nnU-Net normalises by instance, with weights: pretrain with norm_name: [INSTANCE, { affine: true }], as in "
            "configs/network_dynunet.yaml."
        )


def _plain_conv_unet_key(key: str, stages: int) -> str | None:
    """The name of one of DynUNet's tensors in a PlainConvUNet; None for what is listed a second time."""
    if match := re.fullmatch(r"(output_block|deep_supervision_heads\.(\d+))\.conv\.conv\.(\w+)", key):
        below = 0 if match[2] is None else int(match[2]) + 1
        return f"decoder.seg_layers.{stages - 2 - below}.{match[3]}"
    if match := re.fullmatch(r"upsamples\.(\d+)\.transp_conv\.conv\.(\w+)", key):
        return f"decoder.transpconvs.{match[1]}.{match[2]}"
    block = (
        r"(input_block|downsamples\.(\d+)|bottleneck|upsamples\.(\d+)\.conv_block)\.(conv|norm)([12])\.(?:conv\.)?(\w+)"
    )
    if match := re.fullmatch(block, key):
        name, down, up, layer, number, tensor = match.groups()
        stage = 0 if name == "input_block" else stages - 1 if name == "bottleneck" else int(down or 0) + 1
        start = f"encoder.stages.{stage}.0" if up is None else f"decoder.stages.{up}"
        return f"{start}.convs.{int(number) - 1}.{layer}.{tensor}"
    return None
