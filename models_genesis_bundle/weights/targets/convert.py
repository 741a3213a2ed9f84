"""A weight file in the form of another framework, or a published one in the bundle's own."""

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
from models_genesis_bundle.weights.targets.target import TargetError
from models_genesis_bundle.weights.transfer import TransferError, transfer_weights
from models_genesis_bundle.weights.transfer_plan import TransferReport

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

    Settings of a network that its tensors do not show are taken from ``configs/``: instance normalisation and a leaky ReLU of
    slope 0.01 for a ``DynUNet``.

    Args:
        source: a weight file of this bundle, a published one, or any that ``read_source`` reads.
        target: ``bundle`` for this bundle's own format, from a published file; else as in ``write_for``.
        path: the file or folder to write, as in ``write_for``.
        in_channels: input channels of the network that will be trained, by default the file's. The kernels that see the image
            are fitted to them (see ``fit_input_channels``).
        plans: for ``nnunet``: the ``nnUNetPlans.json`` of the network that will be trained. Tensors that do not fit it keep
            initial values; an encoder that does not fit is refused.
        configuration: of the plans.
        options: as in ``write_for``.

    Raises:
        TargetError: an unknown target, or a network that the target does not take.
        TransferError: the encoder does not fit, or a weight is not finite. Nothing is written.
        CheckpointError: a file cannot be read or written.
        UnknownLayoutError: the file's network is not known.
    """
    if target == BUNDLE:
        network, report = published_network(source)
        write_weights(path, network, **published_records(source))
        return report
    chosen, weights = find_target(target), read_source(source)
    require_network(chosen, layout_name(weights.state).split(", "), weights.state)
    if plans is not None and target != "nnunet":
        raise TargetError(f"plans: only the target nnunet has them, not {target}.")

    named = chosen.rename(weights.state)
    placed = {value.data_ptr() for value in named.values()}
    rest = {key: value for key, value in weights.state.items() if value.data_ptr() not in placed}
    planned = None if plans is None else read_plans(plans, configuration)
    state = for_target(chosen, named, weights.preprocessing, (0, 1, 2) if planned is None else planned.axes)
    parts = key_parts(state)
    if planned is None:
        receiver: torch.nn.Module = _Receiver(state, parts["encoder"], in_channels)
    else:
        first = next(state[key] for key in parts["encoder"] if state[key].dim() > 2)
        receiver = network_of_plans(planned, in_channels or first.shape[1], len(state[parts["head"][0]]))
    rest_parts = {part: [key for key in keys if key in rest] for part, keys in key_parts(weights.state).items()}
    content = {"state_dict": {**state, **rest}, "network": {"parts": rest_parts}}
    try:
        report = transfer_weights(
            receiver, content, parts="all", require="encoder", name=f"{weights.name} (for {target})"
        )
    except TransferError as error:
        if plans is None:
            raise
        raise TransferError(
            f"{error} docs/how-to/weights_out.md says how to pretrain the network of {plans}."
        ) from error
    new_heads = {entry.key for entry in report.tensors if (entry.part, entry.outcome) == ("head", "initial")}
    received = {key: value for key, value in state_on_cpu(receiver).items() if key not in new_heads}
    write_target(chosen, chosen.content(received, weights.preprocessing, **options), path)
    return report


class _Receiver(torch.nn.Module):
    """Zeros by the keys of a state dict, to load weights into; it computes nothing.

    Keys that share a tensor in the state dict share one here. ``in_channels`` replaces the input channels of those of the
    encoder's kernels that see the image.
    """

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
