"""From a weight file to the file of another framework, or of a published network to this bundle's."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.key_parts import key_parts, layout_name
from models_genesis_bundle.weights.model_file import state_on_cpu, write_weights
from models_genesis_bundle.weights.published.load import published_network, published_records
from models_genesis_bundle.weights.sources import read_source
from models_genesis_bundle.weights.targets.nnunet_plans import network_of_plans, read_plans
from models_genesis_bundle.weights.targets.registry import find_target, for_target, require_network, write_target
from models_genesis_bundle.weights.targets.target import State, TargetError
from models_genesis_bundle.weights.transfer import TransferError, transfer_weights
from models_genesis_bundle.weights.transfer_report import TransferReport

__all__ = ["BUNDLE", "convert"]

BUNDLE = "bundle"


def convert(
    source: str | os.PathLike,
    target: str,
    path: str | os.PathLike,
    in_channels: int | None = None,
    plans: str | os.PathLike | None = None,
    configuration: str = "3d_fullres",
    **options: Any,
) -> TransferReport:
    """Write the weights of a file in another form, through ``transfer_weights``, which logs what became of each tensor.

    What cannot be read off tensors is taken to be as the configurations in ``configs/`` have it: of a ``DynUNet``, instance
    normalisation and a leaky ReLU of slope 0.01.

    Args:
        source: a weight file of this bundle, a published one, or any that ``read_source`` reads.
        target: ``bundle`` for this bundle's own format, from a published file; else as in ``write_for``.
        path: the file to write; for ``nnssl`` without an ending: a folder, as in ``write_for``.
        in_channels: input channels of the network that will be trained, by default the file's: the kernels that see the image
            are fitted to it (see ``fit_input_channels``).
        plans: for ``nnunet``: the ``nnUNetPlans.json`` of the network that will be trained. What does not fit it keeps initial
            values, and a file whose encoder does not fit is refused here, where the reason is said.
        configuration: of the plans.
        options: as in ``write_for``.

    Returns:
        The report.

    Raises:
        TargetError: for an unknown target, and when the file's network cannot become what the target takes.
        TransferError: when less than the encoder goes over, or a weight is not finite. Nothing is written then.
        CheckpointError: when a file cannot be read or written.
        UnknownLayoutError: when the file's network is not known.
    """
    if target == BUNDLE:
        return _to_bundle(source, path)
    chosen, weights = find_target(target), read_source(source)
    require_network(chosen, layout_name(weights.state).split(", "), weights.state)
    if plans is not None and target != "nnunet":
        raise TargetError(f"plans: only the target nnunet has them, not {target}.")

    renamed = chosen.rename(weights.state)
    rest = _rest(weights.state, renamed)
    planned = None if plans is None else read_plans(plans, configuration)
    state = for_target(chosen, renamed, weights.preprocessing, (0, 1, 2) if planned is None else planned.axes)
    if planned is None:
        network = _bare_network(state, key_parts(state)["encoder"], in_channels)
    else:
        network = network_of_plans(planned, in_channels or _in_channels(state), _out_channels(state))
    parts = {part: [key for key in keys if key in rest] for part, keys in key_parts(weights.state).items()}
    content = {"state_dict": {**state, **rest}, "network": {"parts": parts}}
    try:
        report = transfer_weights(
            network, content, parts="all", require="encoder", name=f"{weights.name} (for {target})"
        )
    except TransferError as error:
        if plans is None:
            raise
        raise TransferError(
            f"{error} docs/how-to/weights_out.md says how to pretrain the network of {plans}."
        ) from error
    new_heads = {entry.key for entry in report.tensors if (entry.part, entry.outcome) == ("head", "initial")}
    received = {key: value for key, value in state_on_cpu(network).items() if key not in new_heads}
    write_target(chosen, chosen.content(received, weights.preprocessing, **options), path)
    return report


def _to_bundle(source: str | os.PathLike, path: str | os.PathLike) -> TransferReport:
    network, report = published_network(source)
    write_weights(path, network, **published_records(source))
    return report


def _rest(state: Mapping[str, torch.Tensor], renamed: State) -> State:
    """What of the file has no place in the target: no key of it stands for one of the renamed tensors."""
    placed = {value.data_ptr() for value in renamed.values()}
    return {key: value for key, value in state.items() if value.data_ptr() not in placed}


def _in_channels(state: State) -> int:
    return next(state[key].shape[1] for key in key_parts(state)["encoder"] if state[key].dim() > 2)


def _out_channels(state: State) -> int:
    return state[key_parts(state)["head"][0]].shape[0]


def _bare_network(
    state: Mapping[str, torch.Tensor], encoder: Collection[str], in_channels: int | None = None
) -> torch.nn.Module:
    """A module with the keys and shapes of a state dict, all zeros; it computes nothing.

    Keys that share a tensor in the state dict share one here.

    Args:
        state: tensors by key.
        encoder: the keys of the encoder, in their order.
        in_channels: how many channels those of its kernels take that see the image; None: as many as now.
    """
    kernels = [key for key in encoder if state[key].dim() > 2]
    present = state[kernels[0]].shape[1] if kernels else None
    root = torch.nn.Module()
    shared: dict[int, torch.Tensor] = {}
    for key, value in state.items():
        *path, name = key.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = module.get_submodule(part)
        shape = list(value.shape)
        if in_channels is not None and key in kernels and shape[1] == present:
            shape[1] = in_channels
        module.register_buffer(name, shared.setdefault(value.data_ptr(), value.new_zeros(shape)))
    return root
