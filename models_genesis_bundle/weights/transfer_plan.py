"""Which tensor of a checkpoint goes where in a network, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from models_genesis_bundle.weights.input_channels import fit_input_channels
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, key_parts
from models_genesis_bundle.weights.sources import WeightSource
from models_genesis_bundle.weights.transfer_report import TensorTransfer

__all__ = ["WHOLE", "plan_transfer"]

WHOLE = "network"  # the only part of a network whose layout is not known


def plan_transfer(
    network: torch.nn.Module,
    weights: WeightSource,
    renamed: Mapping[str, str],
    known: Mapping[str, list[str]],
    wanted: tuple[str, ...],
) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], list[TensorTransfer]]:
    """Match a network's tensors with a checkpoint's; nothing is changed. The rules are described in ``transfer_weights``.

    Args:
        network: receives the weights later.
        weights: the checkpoint's tensors.
        renamed: the checkpoint's keys by what they are called in the network.
        known: the network's keys by part.
        wanted: the parts to load.

    Returns:
        The pairs of tensors to copy, the network's own and the new one, by key; and the entries of the report.
    """
    own_keys = _keys_by_tensor(network.state_dict(keep_vars=True), id)
    own_state = {keys[0]: own for own, keys in own_keys}
    sources = {keys[0]: [renamed[key] for key in keys if key in renamed] for _, keys in own_keys}
    found = {key: weights.state[theirs[0]] for key, theirs in sources.items() if theirs}
    part_of = {key: part for part, keys in known.items() for key in keys}
    channels = _input_channels(own_state, found, known.get("encoder", list(own_state)))
    plan, entries = {}, []
    for key, own in own_state.items():
        part = part_of.get(key, WHOLE)
        if part in wanted:
            outcome, reason, detail, value = _fit(part, own, found.get(key), channels)
        else:
            outcome, reason, detail, value = "initial", "not to be loaded", "", None
        if value is not None:
            plan[key] = own, value
        entries.append(TensorTransfer(key, part, outcome, reason, detail, own.numel()))
    placed = {key for theirs in sources.values() for key in theirs}
    return plan, entries + _unused(weights, placed)


def _fit(
    part: str, own: torch.Tensor, value: torch.Tensor | None, channels: tuple[int, int]
) -> tuple[str, str, str, torch.Tensor | None]:
    """Outcome, reason, its numbers, and the tensor to copy, of one of the network's tensors."""
    if value is None:
        return "initial", "not in the file", "", None
    if value.shape == own.shape:
        return "loaded", "", "", value
    if part in ("encoder", WHOLE) and _sees_input(own, value, channels):
        here = channels[1]
        return "adapted", "input channels", f"{channels[0]} in the file, {here} here", fit_input_channels(value, here)
    only_outputs = part == "head" and value.shape[1:] == own.shape[1:]
    reason = "another number of outputs" if only_outputs else "another shape"
    return "initial", reason, f"{tuple(value.shape)} in the file, {tuple(own.shape)} here", None


def _keys_by_tensor(
    state: Mapping[str, Any], identity: Callable[[torch.Tensor], Any]
) -> list[tuple[torch.Tensor, list[str]]]:
    """Each tensor once, with all keys that it stands under."""
    keys_of: dict[Any, tuple[torch.Tensor, list[str]]] = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            keys_of.setdefault(identity(value), (value, []))[1].append(key)
    return list(keys_of.values())


def _memory(tensor: torch.Tensor) -> tuple:
    """What two tensors share that are one in a file; the objects are not."""
    return (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else (id(tensor),)


def _input_channels(
    own: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], encoder: Iterable[str]
) -> tuple[int, int]:
    """Input channels in the file and here, from the first convolution of the encoder that both have."""
    for key in encoder:
        if key in own and key in found and own[key].dim() == found[key].dim() >= 3:
            return found[key].shape[1], own[key].shape[1]
    return 0, 0


def _sees_input(own: torch.Tensor, value: torch.Tensor, channels: tuple[int, int]) -> bool:
    """Whether only the number of input channels differs between a convolution's weights in the file and here."""
    if value.dim() != own.dim() or own.dim() < 3 or (value.shape[1], own.shape[1]) != channels:
        return False
    return value.shape[0] == own.shape[0] and value.shape[2:] == own.shape[2:]


def _unused(weights: WeightSource, placed: set[str]) -> list[TensorTransfer]:
    parts = weights.network.get("parts")
    if parts is None:
        try:
            parts = key_parts(weights.state)
        except UnknownLayoutError:
            parts = {}
    part_of = {key: part for part, keys in parts.items() for key in keys}
    return [
        TensorTransfer(
            keys[0], part_of.get(keys[0], WHOLE), "unused", "the network has no such tensor", "", value.numel()
        )
        for value, keys in _keys_by_tensor(weights.state, _memory)
        if placed.isdisjoint(keys)
    ]
