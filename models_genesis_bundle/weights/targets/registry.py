"""All places that weights can go to, and the way there for a network that is at hand."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights.checkpoint_file import write_checkpoint
from models_genesis_bundle.weights.checks import require_finite
from models_genesis_bundle.weights.model_file import state_on_cpu
from models_genesis_bundle.weights.targets.axes import kernels_to_zyx
from models_genesis_bundle.weights.targets.monai_networks import (
    DINTS,
    DYNUNET,
    SEGRESNET,
    SEGRESNET2D,
    SEGRESNET_ENCODER,
    SWINUNETR,
)
from models_genesis_bundle.weights.targets.nnssl import NNSSL
from models_genesis_bundle.weights.targets.nnunet import NNUNET
from models_genesis_bundle.weights.targets.target import State, Target, TargetError
from models_genesis_bundle.weights.wrappers import unwrap

__all__ = ["TARGETS", "find_target", "for_target", "require_network", "write_for", "write_target"]

logger = logging.getLogger(__name__)

TARGETS = {
    target.name: target
    for target in (SEGRESNET, SEGRESNET2D, SEGRESNET_ENCODER, SWINUNETR, DINTS, DYNUNET, NNUNET, NNSSL)
}


def find_target(name: str) -> Target:
    """The target of a name.

    Raises:
        TargetError: for an unknown name, with those that there are.
    """
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

    ===================== ============================================== ================================================
    target                network                                        file
    ===================== ============================================== ================================================
    ``segresnet``         ``SegResNetDS``, 3D                            ``state_dict``, ``epoch``, ``best_metric``, ``config``
    ``segresnet2d``       ``SegResNetDS``, 2D                            the same, ``net.`` before each key
    ``segresnet_encoder`` ``SegResNetDS``                                ``state_dict``: its encoder by ``SegResNet``'s keys
    ``swinunetr``         ``SwinUNETR``                                  ``state_dict``
    ``dints``             ``DiNTS``                                      the state dict alone
    ``dynunet``           ``DynUNet``                                    the state dict alone
    ``nnunet``            ``DynUNet``, ``PlainConvUNet``,                ``network_weights`` under all of nnU-Net's keys
                          ``ResidualEncoderUNet``
    ``nnssl``             the same, 3D                                   the same, and ``nnssl_adaptation_plan``
    ===================== ============================================== ================================================

    nnU-Net's arrays are (Z, Y, X): the axes of the kernels are turned for ``nnunet`` and ``nnssl``.

    Args:
        target: one of ``TARGETS``.
        network: wrapped or not.
        path: the file; for ``nnssl`` without an ending: a folder for the hub, which receives ``checkpoint_final.pth``,
            ``adaptation_plan.json`` and ``config.json``.
        preprocessing: how its training data was preprocessed (``ScanPreprocessing.record``); its ``orientation`` says what the
            axes of the kernels are now, ``RAS`` when it is not known.
        options: ``patch_size`` for ``nnssl``: sides in voxels, (Z, Y, X), that nnU-Net shall train on; 160 each by default.

    Returns:
        The path of the checkpoint.

    Raises:
        TargetError: for an unknown target, or a network that it does not take.
        CheckpointError: when a weight is NaN or infinite, or the file could not be written; an earlier one is kept.
    """
    chosen, network = find_target(target), unwrap(network)
    require_network(chosen, [base.__name__ for base in type(network).__mro__], network.state_dict())
    chosen.check(network)
    own = state_on_cpu(network)
    require_finite(own, type(network).__name__)
    state = for_target(chosen, chosen.rename(own), preprocessing)
    logger.info("%s: %d tensors of a %s, for %s.", path, len(state), type(network).__name__, target)
    return write_target(chosen, chosen.content(state, preprocessing, **options), path)


def require_network(target: Target, names: list[str], state: Mapping[str, torch.Tensor]) -> None:
    """Refuse the weights of a network that a target does not take.

    Args:
        target: the target.
        names: what the network is called; one of them must be among the target's.
        state: its tensors.

    Raises:
        TargetError: saying what to do.
    """
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
    """Write a target's file or, where ``path`` has no ending and the target has a folder for the hub, that folder.

    Returns:
        The path of the checkpoint.

    Raises:
        TargetError: when a file lies where the folder is to be.
        CheckpointError: when the checkpoint cannot be written; an earlier one is kept.
    """
    path = Path(path)
    if path.suffix or not target.folder:
        return write_checkpoint(content, path)
    if path.exists() and not path.is_dir():
        raise TargetError(
            f"{path}: expected a folder, or a file with an ending such as .pth; found a file without one."
        )
    path.mkdir(parents=True, exist_ok=True)
    checkpoint = write_checkpoint(content, path / target.checkpoint_name)
    for name, describe in target.folder.items():
        write_json(path / name, describe(content))
    return checkpoint
