"""The transfer of weights into another network, with a report of every tensor."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.key_parts import (
    UnknownLayoutError,
    key_parts,
    network_parts,
    prefix_of_network,
    select_parts,
    unwrap,
)
from models_genesis_bundle.weights.model_file import FREE_ARGUMENTS, differing_arguments, is_whole, network_record
from models_genesis_bundle.weights.published import KNOWN
from models_genesis_bundle.weights.sources import WeightSource, read_source
from models_genesis_bundle.weights.transfer_report import TensorTransfer, TransferReport
from monai.utils import ensure_tuple

logger = logging.getLogger(__name__)

WHOLE = "network"  # the only part of a network whose layout is not known
LACKING = "in no file of this kind"


class TransferError(CheckpointError):
    """A required tensor is missing or does not fit; the network is unchanged."""


def transfer_weights(
    network: torch.nn.Module,
    source: str | os.PathLike | Mapping[str, Any],
    parts: str | Sequence[str] = ("encoder", "decoder"),
    require: str | Sequence[str] = ("encoder",),
    key_map: Mapping[str, str] | None = None,
    name: str | None = None,
) -> TransferReport:
    """Load the tensors of a checkpoint that belong to the given parts and fit, and report the outcome for every tensor.

    Parameters and buffers are matched by their keys. A tensor of the network is

    - **loaded** if the file has it in the same shape;
    - **adapted** (see ``fit_input_channels``) if it is a convolution of the encoder that sees the input, and only the number of
      input channels differs. The first convolution of the encoder shows this number for file and network;
    - **initial** if its part is not to be loaded, the file lacks it, or the shape differs, as for other classes.

    Tensors of the file that the network lacks are **unused**. The report is logged: a table at INFO (at WARNING if nothing was
    loaded), each tensor at DEBUG. A WARNING names arguments, such as the activation, that differ from the file's.

    Args:
        network: any network, wrapped or not; changed in place. If neither a method ``parts()`` nor ``key_parts`` gives its parts,
            ``parts`` and ``require`` can only be ``"all"`` or empty.
        source: path or content of a checkpoint of this bundle, MONAI or nnU-Net, of a published file (see ``load_published``), or
            of a state dict, alone or under ``model``, ``state_dict``, ``network_weights``, ``net`` or ``student``.
        parts: names from ``encoder``, ``decoder``, ``head``, or ``"all"``. The network need not have all of them.
        require: parts whose tensors must all be loaded or adapted, except tensors that no published file of this layout has, such
            as the convolutions around NVIDIA's Swin transformer.
        key_map: prefixes of the file's keys and their replacements, ``{"swinViT.": "encoder."}``; the longest one is used.
        name: name of the source in the report and in errors; by default its path.

    Raises:
        TransferError: a tensor of a required part would stay initial. Nothing is loaded; the message names the likely cause.
        CheckpointError: as in ``read_weights``, or a file without a state dict.
        UnknownLayoutError: parts are named, but the parts of the network are not known.
        ValueError: an unknown part, a required part that is not loaded or does not exist, or equal keys after ``key_map``.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.weights import transfer_weights, write_weights
        >>> path = write_weights("pretrained.pt", GenesisUNet(features=(4, 8)))
        >>> report = transfer_weights(GenesisUNet(features=(4, 8), out_channels=3), path)
        >>> report.counts()["encoder"], report.counts()["head"]
        ({'loaded': {'tensors': 28, 'values': 1660}}, {'initial': {'tensors': 2, 'values': 15}})
    """
    network = unwrap(network)
    weights = read_source(source, name, network.state_dict())
    known, wanted, required = _parts(network, parts, require)
    prefix = "" if key_map else prefix_of_network(weights.state, network.state_dict())
    renamed = _renamed(weights.state, key_map or {prefix: ""})
    plan, entries = _plan(network, weights, renamed, known, wanted)
    recognised = weights.layout.title if weights.layout else ""
    report = TransferReport(weights.name, weights.prefix + prefix, wanted, tuple(entries), recognised)
    _refuse_too_little(network, weights, report, required, renamed)
    with torch.no_grad():
        for own, value in plan:
            own.copy_(value)
    logger.log(logging.INFO if plan else logging.WARNING, "%s", report)
    settings = differing_arguments(weights.network, network_record(network), FREE_ARGUMENTS)
    if plan and settings and weights.layout is None:  # the documentation names the settings for published files
        logger.warning("%s: these weights were trained in a network with other settings. %s", weights.name, settings)
    for entry in report.tensors:
        logger.debug("%s: %s %s %s", entry.key, entry.outcome, entry.reason, entry.detail)
    return report


def fit_input_channels(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Change the number of input channels of a convolution's weight.

    The response to an image with the same content in all channels does not change. With more channels than the present ``s``,
    channel ``j`` gets the weights of channel ``j mod s``, divided by the number of channels that share them. With fewer, channel
    ``j`` gets the sum of all channels ``i`` with ``i mod t = j``.

    Args:
        weight: (outputs, s, kernel sides …).
        channels: the new number of input channels, ``t``.

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


def _parts(
    network: torch.nn.Module, parts: str | Sequence[str], require: str | Sequence[str]
) -> tuple[dict[str, list[str]], tuple[str, ...], tuple[str, ...]]:
    """The network's keys by part, the parts to load and the required parts; an unknown network is a single part."""
    try:
        known = network_parts(network)
    except UnknownLayoutError:
        if {*ensure_tuple(parts), *ensure_tuple(require)} - {"all"}:
            raise
        known = {WHOLE: list(network.state_dict())}
    wanted, required = select_parts(parts, known, "parts"), select_parts(require, known, "require")
    for part in required:
        if part not in wanted:
            raise ValueError(f"require: {part} is required, but only {', '.join(wanted) or 'nothing'} is to be loaded.")
        if not known[part]:
            raise ValueError(f"require: {part} is required, but the network has none.")
    return known, wanted, required


def _renamed(state: Mapping[str, torch.Tensor], key_map: Mapping[str, str]) -> dict[str, str]:
    """The keys of the file by their names in the network."""
    renamed: dict[str, str] = {}
    for key in state:
        start = max((start for start in key_map if key.startswith(start)), key=len, default="")
        name = key_map.get(start, "") + key.removeprefix(start)
        if name in renamed:
            raise ValueError(f"key_map: maps both {renamed[name]} and {key} to the key {name}.")
        renamed[name] = key
    return renamed


def _plan(
    network: torch.nn.Module,
    weights: WeightSource,
    renamed: Mapping[str, str],
    known: Mapping[str, list[str]],
    wanted: tuple[str, ...],
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], list[TensorTransfer]]:
    """The pairs to copy, a tensor of the network and its new value, and the entries of the report; nothing is changed yet."""
    own_state, found, placed = {}, {}, set()
    for own, keys in _keys_by_tensor(network.state_dict()):
        own_state[keys[0]] = own
        theirs = [renamed[key] for key in keys if key in renamed]
        placed.update(theirs)
        if theirs:
            found[keys[0]] = weights.state[theirs[0]]
    part_of = {key: part for part, keys in known.items() for key in keys}
    channels = _input_channels(own_state, found, known.get("encoder", own_state))
    lacks = weights.layout.lacks if weights.layout else ""
    plan, entries = [], []
    for key, own in own_state.items():
        part, detail = part_of.get(key, WHOLE), ""
        if part not in wanted:
            outcome, reason = "initial", "not to be loaded"
        elif key not in found:
            outcome, reason = "initial", LACKING if lacks and re.match(lacks, key) else "not in the file"
        else:
            outcome, reason, detail, value = _fit(part, own, found[key], channels)
            if value is not None:
                plan.append((own, value))
        entries.append(TensorTransfer(key, part, outcome, reason, detail, own.numel()))
    return plan, entries + _unused(weights, placed)


def _keys_by_tensor(state: Mapping[str, torch.Tensor]) -> list[tuple[torch.Tensor, list[str]]]:
    """Each tensor once, with all keys that share its memory."""
    keys_of: dict[tuple, tuple[torch.Tensor, list[str]]] = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor):  # a module may add other state
            memory = (value.data_ptr(), value.shape, value.stride()) if value.numel() else (key,)
            keys_of.setdefault(memory, (value, []))[1].append(key)
    return list(keys_of.values())


def _input_channels(
    own: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], encoder: Iterable[str]
) -> tuple[int, int]:
    """Input channels in the file and here, from the first convolution of the encoder that both have."""
    for key in encoder:
        if key in own and key in found and own[key].dim() == found[key].dim() >= 3:
            return found[key].shape[1], own[key].shape[1]
    return 0, 0


def _fit(
    part: str, own: torch.Tensor, value: torch.Tensor, channels: tuple[int, int]
) -> tuple[str, str, str, torch.Tensor | None]:
    """Outcome, reason, detail, and the tensor to copy; None if the network keeps its own."""
    if is_whole(value, own):
        return "initial", "whole numbers", f"{value.dtype} in the file, {own.dtype} here", None
    if value.shape == own.shape:
        return "loaded", "", "", value
    only_inputs = value.dim() >= 3 and value[:, :1].shape == own[:, :1].shape
    if only_inputs and part in ("encoder", WHOLE) and (value.shape[1], own.shape[1]) == channels:
        detail = f"{channels[0]} in the file, {channels[1]} here"
        return "adapted", "input channels", detail, fit_input_channels(value, channels[1])
    only_outputs = part == "head" and value.shape[1:] == own.shape[1:]
    reason = "another number of outputs" if only_outputs else "another shape"
    return "initial", reason, f"{tuple(value.shape)} in the file, {tuple(own.shape)} here", None


def _unused(weights: WeightSource, placed: set[str]) -> list[TensorTransfer]:
    parts = weights.network.get("parts")
    if parts is None:
        with contextlib.suppress(UnknownLayoutError):
            parts = key_parts(weights.state)
    part_of = {key: part for part, keys in (parts or {}).items() for key in keys}
    reason = "the network has no such tensor"
    return [
        TensorTransfer(key, part_of.get(key, WHOLE), "unused", reason, "", value.numel())
        for value, (key, *others) in _keys_by_tensor(weights.state)
        if placed.isdisjoint((key, *others))
    ]


def _refuse_too_little(
    network: torch.nn.Module,
    weights: WeightSource,
    report: TransferReport,
    required: tuple[str, ...],
    renamed: Mapping[str, str],
) -> None:
    """Raise a ``TransferError`` when a tensor of a required part would stay initial."""
    concerned = [entry for entry in report.tensors if entry.part in required and entry.outcome != "unused"]
    missing = [
        entry
        for entry in concerned
        # num_batches_tracked changes no result, and some files lack it.
        if entry.outcome == "initial" and entry.reason != LACKING and not entry.key.endswith("num_batches_tracked")
    ]
    if not missing:
        return
    named = [f"{entry.key}: {': '.join(filter(None, (entry.reason, entry.detail)))}" for entry in missing[:3]]
    raise TransferError(
        f"{weights.name}: {len(missing)} of the {len(concerned)} required tensors ({', '.join(required)}) are missing in "
        f"the file or do not fit. Nothing was loaded. {_likely_cause(network, weights, renamed)}First missing: {'; '.join(named)}."
    )


def _likely_cause(network: torch.nn.Module, weights: WeightSource, renamed: Mapping[str, str]) -> str:
    own = network_record(network)
    theirs = weights.network.get("_target_", own["_target_"])
    disjoint = renamed.keys().isdisjoint(network.state_dict())
    if not disjoint and (arguments := differing_arguments(weights.network, own, ignored=FREE_ARGUMENTS)):
        return arguments
    if weights.layout is not None:
        arguments = ", ".join(f"{name}={value!r}" for name, value in weights.network["arguments"].items())
        return (
            f"It is {weights.layout.title}, with the network {theirs}({arguments}); the network here is {own['_target_']}. "
            "docs/how-to/published_weights.md names the settings for it. "
        )
    another = f"It is of another network ({theirs}; here {own['_target_']})" if theirs != own["_target_"] else ""
    if disjoint:
        beginnings = ", ".join(list(dict.fromkeys(f"{key.partition('.')[0]}." for key in renamed))[:4])
        published = "" if weights.network else f"Known published files: {KNOWN}. "
        return (
            f"{another or 'It may be of another network'}: no key is the same. Its keys begin with {beginnings}, the network's "
            f"keys with {next(iter(network.state_dict()))}. Start from weights of the same network, or map the prefixes with "
            f"key_map. {published}"
        )
    if another:
        return f"{another}. "
    return "The network probably has another normalisation, other channel numbers or another depth than the network of the file. "
