"""Which tensor of a checkpoint goes where in a network, why others do not, and the report of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, key_parts
from models_genesis_bundle.weights.sources import WeightSource
from tabulate import tabulate

__all__ = ["LACKING", "WHOLE", "TensorTransfer", "TransferReport", "fit_input_channels", "plan_transfer"]

WHOLE = "network"  # the only part of a network whose layout is not known
LACKING = "in no file of this kind"


@dataclass(frozen=True)
class TensorTransfer:
    """One tensor.

    Attributes:
        key: in the network's state dict; for an unused tensor, in the file's.
        part: ``encoder``, ``decoder``, ``head``, or ``network`` where the parts are not known.
        outcome: ``loaded``: as it is in the file; ``adapted``: made to fit; ``initial``: the network keeps its initial value;
            ``unused``: the network has no place for the file's tensor.
        reason: why, in words that are the same for all tensors of a kind.
        detail: numbers, if any.
        values: how many numbers it holds.
    """

    key: str
    part: str
    outcome: str
    reason: str
    detail: str
    values: int


@dataclass(frozen=True)
class TransferReport:
    """What became of each tensor of the network and of the file; a tensor with several keys is listed once.

    Attributes:
        source: the file.
        prefix: what was removed from its keys.
        parts: the parts to load.
        tensors: one entry for each tensor, in the network's order, then the file's unused ones.
        recognised: title of a published file; empty for other files.
    """

    source: str
    prefix: str
    parts: tuple[str, ...]
    tensors: tuple[TensorTransfer, ...]
    recognised: str = ""

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{part: {outcome: {"tensors": …, "values": …}}}``; values are parameters and buffers, zeros are left out."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for (part, outcome), tensors in self._grouped("part", "outcome").items():
            count = {"tensors": len(tensors), "values": sum(tensor.values for tensor in tensors)}
            counts.setdefault(part, {})[outcome] = count
        return counts

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain values, for JSON."""
        return {**asdict(self), "parts": list(self.parts), "counts": self.counts()}

    def __str__(self) -> str:
        """A table with a line for each part, outcome and reason; the reason's numbers are those of the first tensor."""
        rows = [("part", "outcome", "tensors", "values", "reason")]
        for (part, outcome, reason), tensors in self._grouped("part", "outcome", "reason").items():
            values = sum(tensor.values for tensor in tensors)
            example = f" ({tensors[0].key}: {tensors[0].detail})" if tensors[0].detail else ""
            rows.append((part, outcome, str(len(tensors)), f"{values:,}", reason + example))
        aligned = ("left", "left", "right", "right", "left")
        table = tabulate(rows, tablefmt="plain", colalign=aligned, disable_numparse=True)
        changes = [f"the prefix {self.prefix!r} taken off its keys"] if self.prefix else []
        changes += [f"recognised as {self.recognised}"] if self.recognised else []
        changed = f" ({', '.join(changes)})" if changes else ""
        own = [tensor for tensor in self.tensors if tensor.outcome != "unused"]
        loaded = sum(tensor.outcome in ("loaded", "adapted") for tensor in own)
        title = f"Weights from {self.source}{changed}: {loaded} of {len(own)} tensors"
        return "\n".join([title, *(line.rstrip() for line in table.splitlines())])

    def _grouped(self, *names: str) -> dict[tuple[str, ...], list[TensorTransfer]]:
        groups: dict[tuple[str, ...], list[TensorTransfer]] = {}
        for tensor in self.tensors:
            groups.setdefault(tuple(getattr(tensor, name) for name in names), []).append(tensor)
        return groups


def fit_input_channels(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Change how many input channels a convolution's weight takes.

    More channels than the present number ``s``: channel ``j`` gets the weights of channel ``j mod s``, divided by the number of
    channels that share them. Fewer, ``t``: channel ``j`` gets the sum of the channels ``i`` with ``i mod t = j``. Either way,
    the response to an image with the same content in all channels stays: a network that was pretrained on one CT channel sees
    the same features when each of four MR channels shows the same.

    Args:
        weight: (outputs, s, kernel sides …).
        channels: the number of input channels wanted, ``t``.

    Returns:
        (outputs, t, kernel sides …).
    """
    present = weight.shape[1]
    if channels > present:
        index = torch.arange(channels, device=weight.device) % present
        sharing = torch.bincount(index)[index].view(1, -1, *[1] * (weight.dim() - 2))
        return weight[:, index] / sharing
    index = torch.arange(present, device=weight.device) % channels
    fitted = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
    return fitted.index_add_(1, index, weight)


def plan_transfer(
    network: torch.nn.Module,
    weights: WeightSource,
    renamed: Mapping[str, str],
    known: Mapping[str, list[str]],
    wanted: tuple[str, ...],
) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], list[TensorTransfer]]:
    """Match a network's tensors with a checkpoint's, by the rules of ``transfer_weights``; nothing is changed.

    ``renamed`` has the checkpoint's keys by their names in the network, ``known`` the network's keys by part, ``wanted`` the
    parts to load. Returns the pairs of tensors to copy, the network's own and the new one, by key, and the report's entries.
    """
    own_keys = _keys_by_tensor(network.state_dict(keep_vars=True), id)
    own_state = {keys[0]: own for own, keys in own_keys}
    sources = {keys[0]: [renamed[key] for key in keys if key in renamed] for _, keys in own_keys}
    found = {key: weights.state[theirs[0]] for key, theirs in sources.items() if theirs}
    part_of = {key: part for part, keys in known.items() for key in keys}
    channels = _input_channels(own_state, found, known.get("encoder", list(own_state)))
    lacks = weights.layout.lacks if weights.layout else ""
    plan, entries = {}, []
    for key, own in own_state.items():
        part = part_of.get(key, WHOLE)
        value = None
        if part not in wanted:
            outcome, reason, detail = "initial", "not to be loaded", ""
        elif key not in found:
            outcome, reason, detail = "initial", LACKING if lacks and re.match(lacks, key) else "not in the file", ""
        else:
            outcome, reason, detail, value = _fit(part, own, found[key], channels)
        if value is not None:
            plan[key] = own, value
        entries.append(TensorTransfer(key, part, outcome, reason, detail, own.numel()))
    placed = {key for theirs in sources.values() for key in theirs}
    return plan, entries + _unused(weights, placed)


def _fit(
    part: str, own: torch.Tensor, value: torch.Tensor, channels: tuple[int, int]
) -> tuple[str, str, str, torch.Tensor | None]:
    """Outcome, reason, its numbers, and the tensor to copy, None for an initial one."""
    if value.shape == own.shape:
        return "loaded", "", "", value
    only_inputs = value.dim() >= 3 and value[:, :1].shape == own[:, :1].shape
    if only_inputs and part in ("encoder", WHOLE) and (value.shape[1], own.shape[1]) == channels:
        detail = f"{channels[0]} in the file, {channels[1]} here"
        return "adapted", "input channels", detail, fit_input_channels(value, channels[1])
    only_outputs = part == "head" and value.shape[1:] == own.shape[1:]
    reason = "another number of outputs" if only_outputs else "another shape"
    return "initial", reason, f"{tuple(value.shape)} in the file, {tuple(own.shape)} here", None


def _keys_by_tensor(
    state: Mapping[str, Any], identity: Callable[[torch.Tensor], Any]
) -> list[tuple[torch.Tensor, list[str]]]:
    """Each tensor once, with all its keys."""
    keys_of: dict[Any, tuple[torch.Tensor, list[str]]] = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            keys_of.setdefault(identity(value), (value, []))[1].append(key)
    return list(keys_of.values())


def _memory(tensor: torch.Tensor) -> tuple:
    """The same for two tensors that are one in a file, though they are two objects."""
    return (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else (id(tensor),)


def _input_channels(
    own: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], encoder: Iterable[str]
) -> tuple[int, int]:
    """Input channels in the file and here, from the first convolution of the encoder that both have."""
    for key in encoder:
        if key in own and key in found and own[key].dim() == found[key].dim() >= 3:
            return found[key].shape[1], own[key].shape[1]
    return 0, 0


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
