"""nnU-Net version 2: axes, keys and arguments of its U-Nets, its plans, and the file for its training."""

from __future__ import annotations

import json
import os
import pydoc
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import TargetError, optional_package
from models_genesis_bundle.weights.key_parts import renamed
from monai.networks.layers.factories import split_args

State = dict[str, torch.Tensor]
UNETS = "dynamic_network_architectures.architectures.unet"
IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")  # arguments that nnU-Net's plans give as names of classes
AXIS = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}  # X, Y, Z
# The convolutions of a stage; only the first one of a residual block.
ENCODER_KERNEL = r"encoder\.stages\.(\d+)\.(0\.convs\.\d+|blocks\.\d+\.conv1)\.conv\.weight"
DECODER_KERNEL = r"decoder\.stages\.(\d+)\.convs\.\d+\.conv\.weight"


def zyx_order(orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> tuple[int, ...]:
    """The permutation that brings the axes of an array into the order Z, Y, X: (2, 1, 0) for ``RAS``, (0, 1, 2) for ``SPL``.

    ``transpose`` then permutes (Z, Y, X), as ``transpose_forward`` in nnU-Net's plans.
    """
    axes = [AXIS[letter] for letter in orientation]
    return tuple(axes.index(2 - place) for place in transpose if 2 - place in axes)


def kernels_to_zyx(state: Mapping[str, torch.Tensor], orientation: str, transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Permute all kernels (outputs, inputs, sides …) to arrays (Z, Y, X), without flips, because nnU-Net flips no scan."""
    return {key: _permuted(value, zyx_order(orientation[: value.dim() - 2], transpose)) for key, value in state.items()}


def kernels_from_zyx(state: Mapping[str, torch.Tensor], transpose: Sequence[int] = (0, 1, 2)) -> State:
    """Permute all 3D kernels back from arrays (Z, Y, X) to arrays (X, Y, Z)."""
    order = zyx_order("RAS", transpose)
    back = tuple(order.index(axis) for axis in range(3))
    return {key: _permuted(value, back) if value.dim() == 5 else value for key, value in state.items()}


def _permuted(value: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    return value.permute(0, 1, *(axis + 2 for axis in order)).contiguous() if value.dim() > 2 else value


def each_once(state: Mapping[str, torch.Tensor]) -> State:
    """The tensors of a U-Net without the aliases of ``with_aliases``."""
    return {k: v for k, v in state.items() if not k.startswith("decoder.encoder.") and ".all_modules." not in k}


def with_aliases(state: Mapping[str, torch.Tensor]) -> State:
    """Add the keys under which nnU-Net's U-Nets repeat tensors: blocks in ``all_modules``, the encoder in the decoder."""
    aliases = renamed(state, (r"\.conv\.(?=\w+$)", ".all_modules.0."), (r"\.norm\.(?=\w+$)", ".all_modules.1."))
    listed = {**state, **aliases}
    return listed | {f"decoder.{key}": value for key, value in listed.items() if key.startswith("encoder.")}


def as_nnunet_names(state: Mapping[str, torch.Tensor]) -> State:
    """The tensors with nnU-Net's keys, without aliases. A ``DynUNet`` becomes a ``PlainConvUNet`` whose biases are zero."""
    if "input_block.conv1.conv.weight" not in state:
        return each_once(state)
    if any(".conv3." in key for key in state):
        raise TargetError(
            "nnU-Net has no network with DynUNet's residual blocks: pretrain with res_block: false, as in "
            "configs/network_dynunet.yaml, or nnU-Net's own residual network with configs/network_resenc.yaml."
        )
    if "input_block.norm1.weight" not in state or any(key.endswith("running_mean") for key in state):
        raise TargetError(
            "nnU-Net uses instance normalisation with affine weights. Pretrain with norm_name: [INSTANCE, { affine: true }], as in "
            "configs/network_dynunet.yaml."
        )
    downsamples = len({key.split(".")[1] for key in state if key.startswith("downsamples.")})
    once = {key: value for key, value in state.items() if not key.startswith("skip_layers.")}
    named = renamed(once, *_dynunet_changes(downsamples))
    for key, value in list(named.items()):
        if key.endswith(".weight") and value.dim() > 2 and ".seg_layers." not in key:
            outputs = value.shape[1 if ".transpconvs." in key else 0]
            named.setdefault(key.removesuffix("weight") + "bias", value.new_zeros(outputs))
    return named


def _dynunet_changes(downsamples: int) -> list[tuple[str, str]]:
    """The changes from ``DynUNet``'s keys to those of ``PlainConvUNet``, whose decoder begins at the deepest stage."""
    blocks = ["input_block", *(rf"downsamples\.{number}" for number in range(downsamples)), "bottleneck"]
    heads = ["output_block", *(rf"deep_supervision_heads\.{number}" for number in range(downsamples))]
    changes = [(rf"^{block}\.", f"encoder.stages.{stage}.0.convs.") for stage, block in enumerate(blocks)]
    changes += [(rf"^{head}\.conv\.conv\.", f"decoder.seg_layers.{downsamples - n}.") for n, head in enumerate(heads)]
    return [
        *changes,
        (r"^upsamples\.(\d+)\.transp_conv\.conv\.", r"decoder.transpconvs.\1."),
        (r"^upsamples\.(\d+)\.conv_block\.", r"decoder.stages.\1.convs."),
        *((rf"\.convs\.(conv|norm){place + 1}\.(?:conv\.)?", rf".convs.{place}.\1.") for place in (0, 1)),
    ]


def _by_stage(state: Mapping[str, torch.Tensor], pattern: str) -> list[list[torch.Tensor]]:
    """The convolutions of each stage: the encoder's finest first, the decoder's deepest first."""
    stages: dict[int, list[torch.Tensor]] = {}
    for key, value in state.items():
        if match := re.fullmatch(pattern, key):
            stages.setdefault(int(match[1]), []).append(value)
    return [stages[number] for number in sorted(stages)]


def nnunet_architecture(state: Mapping[str, torch.Tensor]) -> tuple[str, dict[str, Any]]:
    """Class name and arguments of a 3D network from its tensors, as in nnU-Net's plans, without input channels and classes.

    The strides are the kernels of the transposed convolutions. No tensor shows norm and activation; nnU-Net's are used.
    """
    residual = "encoder.stem.convs.0.conv.weight" in state
    encoder, decoder = _by_stage(state, ENCODER_KERNEL), _by_stage(state, DECODER_KERNEL)
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


def with_classes(arguments: Mapping[str, Any], names: Iterable[str] = IMPORTED) -> dict[str, Any]:
    """Replace the names of classes in a network's arguments by the classes."""
    return {**arguments, **{name: arguments[name] and pydoc.locate(arguments[name]) for name in names}}


@dataclass(frozen=True)
class PlannedTraining:
    """A configuration in nnU-Net's plans, with inherited settings; entries that are missing raise a ``TargetError``."""

    path: Path
    configuration: str
    settings: dict[str, Any]
    plans: dict[str, Any]

    @property
    def network(self) -> str:
        """The class of the network: ``PlainConvUNet`` or ``ResidualEncoderUNet``."""
        name = str(self.get("architecture")["network_class_name"]).rpartition(".")[2]
        if name not in ("PlainConvUNet", "ResidualEncoderUNet"):
            raise TargetError(
                f"{self.path}: {self.configuration} plans a {name}; only PlainConvUNet and ResidualEncoderUNet are known."
            )
        return name

    @property
    def axes(self) -> tuple[int, ...]:
        """The permutation of an array (Z, Y, X) in nnU-Net's training."""
        return tuple(self.plans.get("transpose_forward", (0, 1, 2)))

    def get(self, name: str) -> Any:
        """An entry of the configuration, such as ``architecture``, which the plans of nnU-Net 2.3 and older lack."""
        if name not in self.settings:
            raise TargetError(
                f"{self.path}: no {name} for {self.configuration}. Its entries are {', '.join(self.settings)}. Plan again "
                "with a current nnU-Net (nnUNetv2_plan_experiment)."
            )
        return self.settings[name]


def read_plans(plans: str | os.PathLike, configuration: str = "3d_fullres") -> PlannedTraining:
    """Read a configuration, such as ``3d_fullres`` or ``2d``, of the ``nnUNetPlans.json`` that nnU-Net wrote."""
    path = Path(plans)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        configurations = content["configurations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"{path}: not a plans file of nnU-Net ({error}). Give the nnUNetPlans.json in nnUNet_preprocessed."
        ) from error
    settings: dict[str, Any] = {}
    name, seen = configuration, set()
    while name and name not in seen:
        if name not in configurations:
            raise TargetError(
                f"{path}: there is no configuration {name}. The configurations are {', '.join(configurations)}."
            )
        seen.add(name)
        settings = {**configurations[name], **settings}
        name = configurations[name].get("inherits_from", "")
    return PlannedTraining(path, configuration, settings, content)


def network_of_plans(planned: PlannedTraining, in_channels: int, out_channels: int) -> torch.nn.Module:
    """Build the planned network as ``nnUNetv2_train`` does; needs the package ``dynamic-network-architectures``."""
    architecture = planned.get("architecture")
    unets = optional_package(UNETS, f"{planned.path}: building its network", "models-genesis-bundle[nnunet]")
    arguments = with_classes(architecture["arch_kwargs"], architecture["_kw_requires_import"])
    return getattr(unets, planned.network)(input_channels=in_channels, num_classes=out_channels, **arguments)


def check_nnunet_settings(network: torch.nn.Module) -> None:
    """Refuse a ``DynUNet`` that computes other outputs than a ``PlainConvUNet`` with the same tensors."""
    if not hasattr(network, "upsample_kernel_size"):
        return
    norm, act = split_args(network.norm_name), split_args(network.act_name)
    if str(norm[0]).lower() != "instance" or not norm[1].get("affine"):
        raise TargetError(
            f"nnU-Net uses instance normalisation with affine weights, but norm_name is {network.norm_name}: "
            "pretrain with norm_name: [INSTANCE, { affine: true }]."
        )
    if str(act[0]).lower() != "leakyrelu" or act[1].get("negative_slope", 0.01) != 0.01:
        raise TargetError(
            f"nnU-Net's activation is a leaky ReLU of slope 0.01, but act_name is {network.act_name}: "
            "pretrain with act_name: [leakyrelu, { inplace: true, negative_slope: 0.01 }]."
        )
    first, *rest = map(torch.as_tensor, network.strides)
    if (first != 1).any() or any((stride > 2).any() for stride in rest):
        raise TargetError(
            f"nnU-Net's strides are 1 in the first stage and 1 or 2 in the others, but strides is {network.strides}: "
            "pretrain with such strides."
        )


def nnunet_content(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    """The file for ``nnUNetv2_train … -pretrained_weights``, with every key that it needs."""
    state = each_once(state)
    same_stage = [kernels[0].shape[2:] for kernels in reversed(_by_stage(state, ENCODER_KERNEL)[:-1])]
    if same_stage != [kernels[0].shape[2:] for kernels in _by_stage(state, DECODER_KERNEL)]:
        raise TargetError(
            "With several kernel sizes, only the encoder can be written: a decoder stage has the kernel size of the next deeper "
            "encoder stage in DynUNet, and that of the encoder stage at its own level in nnU-Net. Give the plans of the network "
            "that will be trained (plans=…), or pretrain with one kernel size."
        )
    return {"network_weights": with_aliases(state), "preprocessing": preprocessing}
