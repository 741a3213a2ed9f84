"""All targets, and how the weights of a network are written for one."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights.checkpoint_file import require_finite, write_checkpoint
from models_genesis_bundle.weights.key_parts import renamed, unwrap
from models_genesis_bundle.weights.model_file import state_on_cpu
from models_genesis_bundle.weights.targets.nnssl import NNSSL
from models_genesis_bundle.weights.targets.nnunet import NNUNET, kernels_to_zyx
from models_genesis_bundle.weights.targets.target import State, Target, TargetError

__all__ = ["TARGETS", "find_target", "for_target", "require_network", "write_for", "write_target"]

logger = logging.getLogger(__name__)

SEGRESNETDS = ("SegResNetDS",)
SEGRESNET_ADVICE = "Pretrain a SegResNetDS with configs/network_segresnet.yaml."


def _checkpoint(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"state_dict": state, "epoch": 0, "best_metric": 0.0, "config": {"preprocessing": preprocessing}}


def _checkpoint_2d(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return _checkpoint({f"net.{key}": value for key, value in state.items()}, preprocessing)


def _under_state_dict(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"state_dict": state}


def _bare(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return state


def _segresnet_encoder(state: Mapping[str, torch.Tensor]) -> State:
    """SegResNetDS' encoder by SegResNet's keys, where a stage begins with its downsampling. The decoders differ."""
    return renamed(
        {key: value for key, value in state.items() if key.startswith("encoder.")},
        (r"^encoder\.conv_init\.", "convInit.conv."),
        (r"^encoder\.layers\.(\d+)\.downsample\.", lambda match: f"down_layers.{int(match[1]) + 1}.0.conv."),
        (r"^encoder\.layers\.(\d+)\.blocks\.(\d+)\.", lambda match: f"down_layers.{match[1]}.{int(match[2]) + 1}."),
        (r"\.(conv\d)\.", r".\1.conv."),
    )


TARGETS = {
    target.name: target
    for target in (
        Target("segresnet", SEGRESNETDS, SEGRESNET_ADVICE, _checkpoint, spatial_dims=3),
        Target("segresnet2d", SEGRESNETDS, SEGRESNET_ADVICE, _checkpoint_2d, spatial_dims=2),
        Target("segresnet_encoder", SEGRESNETDS, SEGRESNET_ADVICE, _under_state_dict, rename=_segresnet_encoder),
        Target(
            "swinunetr",
            ("SwinUNETR",),
            "Pretrain a SwinUNETR with configs/network_swinunetr.yaml.",
            _under_state_dict,
            spatial_dims=3,
        ),
        Target(
            "dints",
            ("DiNTS",),
            "The network is searched for each task, so that no other fits: only the weights of a DiNTS can be written.",
            _bare,
            spatial_dims=3,
        ),
        Target("dynunet", ("DynUNet",), "Pretrain a DynUNet with configs/network_dynunet.yaml.", _bare),
        NNUNET,
        NNSSL,
    )
}


def find_target(name: str) -> Target:
    """The target of a name; an unknown name raises a ``TargetError``."""
    if name not in TARGETS:
        raise TargetError(f"{name}: no target for weights. There are {', '.join(TARGETS)}.")
    return TARGETS[name]


def write_for(
    target: str,
    network: torch.nn.Module,
    path: str | os.PathLike,
    preprocessing: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write the weights of a network in the form that another framework reads.

    docs/how-to/weights_out.md lists the targets, the networks that each takes, and the content of the files.
    nnU-Net's arrays are (Z, Y, X): for ``nnunet`` and ``nnssl`` the axes of the kernels are permuted.

    Args:
        target: one of ``TARGETS``.
        network: wrapped or not.
        path: the file. For ``nnssl`` a path without a suffix is a folder for the Hub, which receives ``checkpoint_final.pth``,
            ``adaptation_plan.json`` and ``config.json``.
        preprocessing: how its training data was preprocessed (``ScanPreprocessing.record``). Its ``orientation`` names the
            present axes of the kernels; ``RAS`` when it is not known.
        options: ``patch_size`` for ``nnssl``: sides in voxels, (Z, Y, X), for nnU-Net's training; 160 each by default.

    Returns:
        The path of the checkpoint.

    Raises:
        TargetError: an unknown target, or a network that it does not take.
        CheckpointError: a weight is NaN or infinite, or the file could not be written; an earlier file is kept.
    """
    chosen, network = find_target(target), unwrap(network)
    require_network(chosen, [base.__name__ for base in type(network).__mro__], network.state_dict())
    if chosen.check is not None:
        chosen.check(network)
    own = state_on_cpu(network)
    require_finite(own, type(network).__name__)
    state = for_target(chosen, chosen.rename(own), preprocessing)
    logger.info("%s: %d tensors of a %s, for %s.", path, len(state), type(network).__name__, target)
    return write_target(chosen, chosen.content(state, preprocessing, **options), path)


def require_network(target: Target, names: list[str], state: Mapping[str, torch.Tensor]) -> None:
    """Refuse the weights of a network that a target does not take; ``names``: the network's classes."""
    if not set(names) & set(target.networks):
        raise TargetError(
            f"{target.name} takes the weights of {' or '.join(target.networks)}, not of {names[0]}. {target.advice}"
        )
    dims = max(value.dim() for value in state.values()) - 2
    if target.spatial_dims not in (None, dims):
        raise TargetError(f"{target.name} takes {target.spatial_dims}D networks, this one is {dims}D.")


def for_target(
    target: Target, state: State, preprocessing: Mapping[str, Any] | None, transpose: Sequence[int] = (0, 1, 2)
) -> State:
    """The renamed tensors with their axes in the target's order; ``transpose`` as in ``zyx_order``."""
    orientation = (preprocessing or {}).get("orientation") or "RAS"
    return kernels_to_zyx(state, orientation, transpose) if target.zyx else state


def write_target(target: Target, content: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a target's file, or its folder for the Hub where ``path`` has no suffix; the path of the checkpoint."""
    path = Path(path)
    if path.suffix or target.hub_files is None:
        return write_checkpoint(content, path)
    if path.exists() and not path.is_dir():
        raise TargetError(f"{path}: expected a folder, or a file with a suffix such as .pth; found a file without one.")
    checkpoint = write_checkpoint(content, path / "checkpoint_final.pth")
    for name, described in target.hub_files(content).items():
        write_json(path / name, described)
    return checkpoint
