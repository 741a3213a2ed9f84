"""Conversion of weights to the formats of other frameworks, and of published files to the bundle's format."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights.checkpoint_file import TargetError, require_finite, write_checkpoint
from models_genesis_bundle.weights.key_parts import key_parts, recognised_layout, renamed, unwrap
from models_genesis_bundle.weights.model_file import state_on_cpu, write_weights
from models_genesis_bundle.weights.pretrained import published_network
from models_genesis_bundle.weights.sources import read_source
from models_genesis_bundle.weights.targets.nnssl import nnssl_content, nnssl_hub_files
from models_genesis_bundle.weights.targets.nnunet import (
    State,
    as_nnunet_names,
    check_nnunet_settings,
    kernels_to_zyx,
    network_of_plans,
    nnunet_content,
    read_plans,
)
from models_genesis_bundle.weights.transfer import TransferError, transfer_weights
from models_genesis_bundle.weights.transfer_report import TransferReport

logger = logging.getLogger(__name__)

BUNDLE = "bundle"
SEGRESNETDS = ("SegResNetDS",)
SEGRESNET_ADVICE = "Pretrain a SegResNetDS with configs/network_segresnet.yaml."


@dataclass(frozen=True)
class Target:
    """The weight format of another framework, and the networks that it supports.

    ``content`` makes the content of the file from the renamed tensors, the preprocessing record (or None) and the options.
    ``hub_files`` makes the JSON files of a folder for the Hub from this content.
    """

    name: str
    networks: tuple[str, ...]  # their class names
    advice: str  # for the weights of another network
    content: Callable[..., dict[str, Any]] = lambda state, preprocessing: state
    rename: Callable[[Mapping[str, torch.Tensor]], State] = dict  # to the target's keys, each tensor once
    check: Callable[[torch.nn.Module], None] | None = None  # of settings that tensors do not show
    spatial_dims: int | None = None  # None: any
    zyx: bool = False  # arrays are (Z, Y, X), as nnU-Net's are, instead of (X, Y, Z)
    hub_files: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    options: tuple[str, ...] = ()

    def require_network(self, classes: Sequence[str], state: Mapping[str, torch.Tensor]) -> None:
        """Refuse the weights of a network that the target does not support; ``classes``: of the network and its bases."""
        if not set(classes) & set(self.networks):
            raise TargetError(
                f"{self.name} takes the weights of {' or '.join(self.networks)}, not of {classes[0]}. {self.advice}"
            )
        dims = max(value.dim() for value in state.values()) - 2
        if self.spatial_dims not in (None, dims):
            raise TargetError(f"{self.name} takes {self.spatial_dims}D networks, found a {dims}D network.")

    def turned(
        self, state: State, preprocessing: Mapping[str, Any] | None, transpose: Sequence[int] = (0, 1, 2)
    ) -> State:
        """The tensors with their axes in the target's order; ``transpose``: see ``zyx_order``."""
        orientation = (preprocessing or {}).get("orientation") or "RAS"
        return kernels_to_zyx(state, orientation, transpose) if self.zyx else state

    def write(
        self, state: State, preprocessing: Mapping[str, Any] | None, path: str | os.PathLike, **options: Any
    ) -> Path:
        """Write the file, or a folder for the Hub if ``path`` has no suffix; return the path of the checkpoint."""
        path, content = Path(path), self.content(state, preprocessing, **options)
        if path.suffix or self.hub_files is None:
            return write_checkpoint(content, path)
        if path.exists() and not path.is_dir():
            raise TargetError(
                f"{path}: expected a folder, or a file with a suffix such as .pth; found a file without one."
            )
        checkpoint = write_checkpoint(content, path / "checkpoint_final.pth")
        for name, described in self.hub_files(content).items():
            write_json(path / name, described)
        return checkpoint


def _checkpoint(state: State, preprocessing: Mapping[str, Any] | None, prefix: str = "") -> dict[str, Any]:
    state = {f"{prefix}{key}": value for key, value in state.items()}
    return {"state_dict": state, "epoch": 0, "best_metric": 0.0, "config": {"preprocessing": preprocessing}}


def _under_state_dict(state: State, preprocessing: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"state_dict": state}


def _segresnet_encoder(state: Mapping[str, torch.Tensor]) -> State:
    """The encoder of ``SegResNetDS`` with the keys of ``SegResNet``, whose stages begin with the downsampling."""
    return renamed(
        {key: value for key, value in state.items() if key.startswith("encoder.")},
        (r"^encoder\.conv_init\.", "convInit.conv."),
        (r"^encoder\.layers\.(\d+)\.downsample\.", lambda match: f"down_layers.{int(match[1]) + 1}.0.conv."),
        (r"^encoder\.layers\.(\d+)\.blocks\.(\d+)\.", lambda match: f"down_layers.{match[1]}.{int(match[2]) + 1}."),
        (r"\.(conv\d)\.", r".\1.conv."),
    )


SEARCHED = "The network is searched for each task, so that no other fits: only the weights of a DiNTS can be written."
SWIN_ADVICE = "Pretrain a SwinUNETR with configs/network_swinunetr.yaml."
NNUNET = Target(
    name="nnunet",
    networks=("DynUNet", "PlainConvUNet", "ResidualEncoderUNet"),
    advice="Pretrain with configs/network_dynunet.yaml (PlainConvUNet) or configs/network_resenc.yaml.",
    content=nnunet_content,
    rename=as_nnunet_names,
    check=check_nnunet_settings,
    zyx=True,
)
TARGETS = {
    target.name: target
    for target in (
        Target("segresnet", SEGRESNETDS, SEGRESNET_ADVICE, _checkpoint, spatial_dims=3),
        Target("segresnet2d", SEGRESNETDS, SEGRESNET_ADVICE, partial(_checkpoint, prefix="net."), spatial_dims=2),
        Target("segresnet_encoder", SEGRESNETDS, SEGRESNET_ADVICE, _under_state_dict, rename=_segresnet_encoder),
        Target("swinunetr", ("SwinUNETR",), SWIN_ADVICE, _under_state_dict, spatial_dims=3),
        Target("dints", ("DiNTS",), SEARCHED, spatial_dims=3),
        Target("dynunet", ("DynUNet",), "Pretrain a DynUNet with configs/network_dynunet.yaml."),
        NNUNET,
        replace(
            NNUNET,
            name="nnssl",
            content=nnssl_content,
            spatial_dims=3,
            hub_files=nnssl_hub_files,
            options=("patch_size",),
        ),
    )
}


def find_target(name: str, options: Collection[str] = ()) -> Target:
    """The target with this name and these options; a ``TargetError`` if there is no such target."""
    if name not in TARGETS:
        raise TargetError(f"{name}: unknown target for weights. Choose from {', '.join([*TARGETS, BUNDLE])}.")
    target = TARGETS[name]
    if unknown := [option for option in options if option not in target.options]:
        known = f"no option but {', '.join(target.options)}" if target.options else "no option"
        raise TargetError(f"{name}: this target has {known}, found {', '.join(unknown)}.")
    return target


def write_for(
    target: str,
    network: torch.nn.Module,
    path: str | os.PathLike,
    preprocessing: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write the weights of a network in the format of another framework.

    docs/how-to/weights_out.md lists the targets, their networks and the content of the files. For ``nnunet`` and ``nnssl`` the
    axes of the kernels are permuted, because their arrays are (Z, Y, X).

    Args:
        target: one of ``TARGETS``.
        network: wrapped or not.
        path: the file. For ``nnssl`` a path without a suffix is a folder for the Hub with ``checkpoint_final.pth``,
            ``adaptation_plan.json`` and ``config.json``.
        preprocessing: record of the training data's preprocessing (``ScanPreprocessing.record``). Its ``orientation`` names the
            present axes of the kernels; by default ``RAS``.
        options: ``patch_size`` for ``nnssl``: sides in voxels, (Z, Y, X), for nnU-Net's training; 160 each by default.

    Returns:
        The path of the checkpoint.

    Raises:
        TargetError: an unknown target, or a network that it does not support.
        CheckpointError: a weight is NaN or infinite, or the file could not be written; an earlier file is kept.
    """
    chosen, network = find_target(target, options), unwrap(network)
    chosen.require_network([base.__name__ for base in type(network).__mro__], network.state_dict())
    if chosen.check is not None:
        chosen.check(network)
    own = state_on_cpu(network)
    require_finite(own, type(network).__name__)
    state = chosen.turned(chosen.rename(own), preprocessing)
    logger.info("%s: %d tensors of a %s, for %s.", path, len(state), type(network).__name__, target)
    return chosen.write(state, preprocessing, path, **options)


def convert(
    source: str | os.PathLike,
    target: str,
    path: str | os.PathLike,
    in_channels: int | None = None,
    plans: str | os.PathLike | None = None,
    configuration: str = "3d_fullres",
    **options: Any,
) -> TransferReport:
    """Convert a weight file to another format with ``transfer_weights``, which logs the outcome for each tensor.

    Settings that no tensor shows are assumed to be those of ``configs/``: in a ``DynUNet`` instance normalisation and leaky ReLU
    (slope 0.01).

    Args:
        source: a weight file of this bundle, a published one, or another that ``transfer_weights`` reads.
        target: as in ``write_for``; ``bundle``: from a published file to this bundle's format.
        path: the file or folder to write, as in ``write_for``.
        in_channels: input channels of the network that will be trained, see ``fit_input_channels``; by default the file's.
        plans: for ``nnunet``: the ``nnUNetPlans.json`` of the network that will be trained. Its encoder must fit. Other
            tensors that do not fit keep initial values.
        configuration: name of the configuration in the plans.
        options: as in ``write_for``.

    Raises:
        TargetError: an unknown target, or a network that the target does not support.
        TransferError: the encoder does not fit, or a weight is not finite. Nothing is written.
        CheckpointError: a file cannot be read or written.
        UnknownLayoutError: the file's network is not known.
    """
    if target == BUNDLE:
        network, published, report = published_network(source)
        write_weights(path, network, preprocessing=published.preprocessing, data=published.data)
        return report
    chosen = find_target(target, options)
    if in_channels is not None and not (isinstance(in_channels, int) and in_channels > 0):
        raise TargetError(f"in_channels: expected a whole number above 0, found {in_channels!r}.")
    weights = read_source(source)
    networks, own_parts = recognised_layout(weights.state)
    chosen.require_network(networks.split(", "), weights.state)
    if plans is not None and target != "nnunet":
        raise TargetError(f"plans: only the target nnunet uses plans, found the target {target}.")

    named = chosen.rename(weights.state)
    placed = {value.data_ptr() for value in named.values()}
    rest = {key: value for key, value in weights.state.items() if value.data_ptr() not in placed}
    planned = None if plans is None else read_plans(plans, configuration)
    state = chosen.turned(named, weights.preprocessing, (0, 1, 2) if planned is None else planned.axes)
    parts = key_parts(state)
    if planned is None:
        receiver: torch.nn.Module = _Receiver(state, parts["encoder"], in_channels)
    else:
        first = next(state[key] for key in parts["encoder"] if state[key].dim() > 2)
        receiver = network_of_plans(planned, in_channels or first.shape[1], len(state[parts["head"][0]]))
    rest_parts = {part: [key for key in keys if key in rest] for part, keys in own_parts.items()}
    content = {"state_dict": {**state, **rest}, "network": {"parts": rest_parts}}
    try:
        report = transfer_weights(receiver, content, "all", require="encoder", name=f"{weights.name} (for {target})")
    except TransferError as error:
        if plans is None:
            raise
        raise TransferError(
            f"{error} docs/how-to/weights_out.md says how to pretrain the network of {plans}."
        ) from error
    new_heads = {entry.key for entry in report.tensors if (entry.part, entry.outcome) == ("head", "initial")}
    received = {key: value for key, value in state_on_cpu(receiver).items() if key not in new_heads}
    chosen.write(received, weights.preprocessing, path, **options)
    return report


class _Receiver(torch.nn.Module):
    """A network of zeros with the keys of ``state``; ``in_channels`` replaces the input channels of kernels that see the image."""

    def __init__(self, state: Mapping[str, torch.Tensor], encoder: Collection[str], in_channels: int | None) -> None:
        super().__init__()
        present = next((state[key].shape[1] for key in encoder if state[key].dim() > 2), None)
        self.tensors: dict[str, torch.Tensor] = {}
        shared: dict[int, torch.Tensor] = {}
        for key, value in state.items():
            shape = list(value.shape)
            if in_channels is not None and key in encoder and value.dim() > 2 and shape[1] == present:
                shape[1] = in_channels
            self.tensors[key] = shared.setdefault(value.data_ptr(), value.new_zeros(shape))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        return self.tensors
