"""Stock algorithms of Auto3DSeg, generated and not yet trained, made to start from pretrained weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from models_genesis_bundle.auto3dseg.entries import ENTRIES, Entry, find_entry
from models_genesis_bundle.auto3dseg.generated_algorithm import GeneratedAlgorithm, generated_algorithms
from models_genesis_bundle.auto3dseg.intensities import compare_intensities
from models_genesis_bundle.messages import unwrapped
from models_genesis_bundle.weights import (
    CheckpointError,
    TransferReport,
    UnknownLayoutError,
    transfer_weights,
    write_for,
)
from models_genesis_bundle.weights.sources import read_weight_file
from models_genesis_bundle.weights.targets.convert import find_target
from monai.utils import ensure_tuple

__all__ = ["Initialisation", "initialise"]

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "genesis_weights.pt"


@dataclass(frozen=True)
class Initialisation:
    """What became of one algorithm.

    Attributes:
        algorithm: its folder's name.
        weights: the file that it starts from; None when it took none.
        report: what became of each tensor.
        reason: why it took none; empty when it took one.
    """

    algorithm: str
    weights: str | None = None
    report: TransferReport | None = None
    reason: str = ""


def initialise(
    work_dir: str | os.PathLike,
    weights: str | os.PathLike | Sequence[str | os.PathLike],
    algos: str | Sequence[str] = (),
) -> list[Initialisation]:
    """Make the algorithms in a work folder of ``AutoRunner`` start from pretrained weights.

    For each algorithm this builds the network that it will train, transfers the first weight file whose encoder fits
    (see ``transfer_weights``), writes the network to ``genesis_weights.pt`` in the algorithm's folder, and sets the keys of
    ``configs/hyper_parameters.yaml`` that make the algorithm start from there. What does not come from the weights, such as
    the heads, holds initial values. A second call replaces both.

    Args:
        work_dir: the folder, after the generation of the algorithms.
        weights: one weight file or several, in the order of preference.
        algos: names of algorithms (``segresnet``) or folders (``segresnet_0``) to restrict it to.

    Returns:
        What became of each algorithm; the same is logged.

    Raises:
        Auto3DSegError: when there are no algorithms, or not those that are named.
        CheckpointError: when a weight file cannot be read.
    """
    algorithms = generated_algorithms(work_dir, ensure_tuple(algos))
    sources = {os.fspath(path): read_weight_file(path) for path in ensure_tuple(weights)}
    results = []
    for algorithm in algorithms:
        logger.info("%s:", algorithm.name)
        result = _initialise(algorithm, sources)
        if result.reason:
            has_weights = (algorithm.folder / WEIGHTS_FILE).is_file()
            earlier = " It still starts from those that it got earlier." if has_weights else ""
            logger.warning("%s takes none of the weights. %s%s", algorithm.name, result.reason, earlier)
        results.append(result)
    return results


def _initialise(algorithm: GeneratedAlgorithm, sources: Mapping[str, Mapping[str, Any]]) -> Initialisation:
    entry = find_entry(algorithm)
    if entry is None:
        return Initialisation(algorithm.name, reason=_no_entry(algorithm))
    if entry.overruling and algorithm.get(entry.overruling):
        reason = f"Its {entry.overruling} is set and would win: unset it in {algorithm.settings_path}."
        return Initialisation(algorithm.name, reason=reason)
    try:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)  # what is drawn at random is the same every time
            network = entry.build(algorithm.settings)
    except Exception as error:  # whatever the settings of a template run into
        return Initialisation(algorithm.name, reason=f"Its network cannot be built: {unwrapped(error)}")

    refusals = []
    for path, content in sources.items():
        try:
            report = transfer_weights(network, content, name=path)
            _write(entry, algorithm, network, content.get("preprocessing"))
        except (CheckpointError, UnknownLayoutError) as error:
            refusals.append(str(error))
        else:
            return Initialisation(algorithm.name, path, report)
    return Initialisation(algorithm.name, reason="\n".join([*refusals, _advice(entry, algorithm)]))


def _write(
    entry: Entry, algorithm: GeneratedAlgorithm, network: torch.nn.Module, preprocessing: Mapping[str, Any] | None
) -> None:
    path = write_for(entry.target, network, algorithm.folder / WEIGHTS_FILE, preprocessing=preprocessing)
    keys = {entry.switch: True, entry.file: f"$@bundle_root + '/{path.name}'"}
    algorithm.change(keys)
    logger.info("%s: %s", algorithm.settings_path, ", ".join(f"{key}: {value}" for key, value in keys.items()))
    logger.info("%s", compare_intensities(preprocessing, algorithm.settings))
    if entry.remark:
        logger.info("%s", entry.remark)


def _no_entry(algorithm: GeneratedAlgorithm) -> str:
    if "initial_weights" in algorithm.settings:
        return "It takes them when it is generated, from the key initial_weights of Auto3DSeg's input."
    known = "; ".join(dict.fromkeys(f"{entry.switch} and {entry.file}" for entry in ENTRIES))
    return f"Its settings have none of the keys that stock algorithms take weights by ({known})."


def _advice(entry: Entry, algorithm: GeneratedAlgorithm) -> str:
    arguments = entry.arguments(algorithm.settings)
    given = " ".join(f'--network_def::{name} "{value}"' for name, value in arguments.items())
    return find_target(entry.target).advice + (f" Here it is {given}." if given else "")
