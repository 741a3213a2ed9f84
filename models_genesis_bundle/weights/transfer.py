"""The transfer of weights into another network: everything that fits, reported tensor by tensor, or nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from models_genesis_bundle.weights.checkpoint_file import CheckpointError
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, network_parts, select_parts, unwrap
from models_genesis_bundle.weights.model_file import differing_arguments, network_record
from models_genesis_bundle.weights.published.table import KNOWN
from models_genesis_bundle.weights.sources import WeightSource, read_source
from models_genesis_bundle.weights.transfer_plan import LACKING, WHOLE, TransferReport, plan_transfer
from monai.utils import ensure_tuple

__all__ = ["TransferError", "transfer_weights"]

logger = logging.getLogger(__name__)

FREE_ARGUMENTS = ("in_channels", "out_channels", "output_activation")  # input channels are fitted, the head is new


class TransferError(CheckpointError):
    """Less of the weights fits than was required; the network is as it was before."""


def transfer_weights(
    network: torch.nn.Module,
    source: str | os.PathLike | Mapping[str, Any],
    parts: str | Sequence[str] = ("encoder", "decoder"),
    require: str | Sequence[str] = ("encoder",),
    key_map: Mapping[str, str] | None = None,
    name: str | None = None,
) -> TransferReport:
    """Load the weights of a checkpoint that belong to the given parts and fit; report on every tensor.

    Tensors, that is parameters and buffers, are matched by their keys. The outcome for a tensor of the network:

    - **loaded**: the file has it in the same shape;
    - **adapted** (see ``fit_input_channels``): it sees the input, and the numbers of input channels differ. The first
      convolution of the encoder gives these numbers, and each convolution of the encoder that takes as many sees the input;
    - **initial**: its part is not to be loaded, or the file lacks it or has it in another shape, as the head for another number
      of classes.

    Tensors of the file that the network lacks are **unused**. The report is always logged: its table at INFO (a WARNING when
    nothing was loaded), each tensor at DEBUG.

    Args:
        network: any network, wrapped or not; changed in place. Its method ``parts()`` or ``key_parts`` gives its parts; without
            either, ``parts`` and ``require`` can only be ``"all"`` or empty.
        source: a checkpoint's path or content, see ``read_source``.
        parts: names out of ``encoder``, ``decoder``, ``head``, or ``"all"``. A part that the network does not have is no error:
            a classifier has no decoder.
        require: the parts of which every tensor must be loaded or adapted, except tensors that no published file of that kind
            holds, such as the convolutions around NVIDIA's Swin transformer.
        key_map: beginnings of the file's keys and their replacements, ``{"swinViT.": "encoder."}``; the longest that fits
            counts.
        name: of the source in report and errors; by default its path.

    Raises:
        TransferError: a tensor of a required part would stay initial. Nothing is loaded; the message names the missing tensors
            and the likely cause.
        CheckpointError: the source holds no weights, or as in ``read_source``.
        UnknownLayoutError: parts are named, and the network's are not known.
        ValueError: an unknown part, a required part that is not to be loaded or that the network lacks, or a ``key_map`` that
            gives two tensors one key.

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
    renamed = _renamed(weights.state, key_map or {})
    plan, entries = plan_transfer(network, weights, renamed, known, wanted)
    recognised = weights.layout.title if weights.layout else ""
    report = TransferReport(weights.name, weights.prefix, wanted, tuple(entries), recognised)
    _refuse_too_little(network, weights, report, required, renamed)
    with torch.no_grad():
        for own, value in plan.values():
            own.copy_(value)
    _log(report)
    return report


def _parts(
    network: torch.nn.Module, parts: str | Sequence[str], require: str | Sequence[str]
) -> tuple[dict[str, list[str]], tuple[str, ...], tuple[str, ...]]:
    """The network's keys by part, the parts to load and the required ones; all of an unknown network is one part."""
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
    """The file's keys, by their names in the network."""
    renamed: dict[str, str] = {}
    for key in state:
        start = max((start for start in key_map if key.startswith(start)), key=len, default="")
        name = key_map.get(start, "") + key.removeprefix(start)
        if name in renamed:
            raise ValueError(f"key_map: gives both {renamed[name]} and {key} the key {name}.")
        renamed[name] = key
    return renamed


def _refuse_too_little(
    network: torch.nn.Module,
    weights: WeightSource,
    report: TransferReport,
    required: tuple[str, ...],
    renamed: Mapping[str, str],
) -> None:
    """Raise a ``TransferError`` when a tensor of a required part would stay initial."""
    concerned = [entry for entry in report.tensors if entry.part in required and entry.outcome != "unused"]
    missing = [entry for entry in concerned if entry.outcome == "initial" and entry.reason != LACKING]
    if not missing:
        return
    named = [f"{entry.key}: {': '.join(filter(None, (entry.reason, entry.detail)))}" for entry in missing[:3]]
    raise TransferError(
        f"{weights.name}: {len(missing)} of the {len(concerned)} tensors that are required ({', '.join(required)}) are not "
        f"in it or do not fit, and nothing was loaded. {_likely_cause(network, weights, renamed)}First missing: {'; '.join(named)}."
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
            f"It is {weights.layout.title}, whose network is {theirs}({arguments}); here it is {own['_target_']}. "
            "docs/how-to/published_weights.md names the settings for it. "
        )
    if disjoint:
        return (
            f"It is of another network ({theirs}; here {own['_target_']}): no key is the same. Its keys begin with "
            f"{next(iter(renamed))}, the network's with {next(iter(network.state_dict()))}; give the replacements in key_map. "
            f"Known files of others: {KNOWN}. "
        )
    if theirs != own["_target_"]:
        return f"It is of another network ({theirs}; here {own['_target_']}). "
    return "The network probably has other widths or another depth than the file's. "


def _log(report: TransferReport) -> None:
    loaded = any(entry.outcome in ("loaded", "adapted") for entry in report.tensors)
    logger.log(logging.INFO if loaded else logging.WARNING, "%s", report)
    for entry in report.tensors:
        logger.debug("%s: %s %s %s", entry.key, entry.outcome, entry.reason, entry.detail)
