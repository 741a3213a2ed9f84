"""Pretrained weights for the stock algorithms that Auto3DSeg has generated."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.bundle_config import leaves
from models_genesis_bundle.files import whole_file
from models_genesis_bundle.messages import unwrapped
from models_genesis_bundle.weights import (
    CheckpointError,
    TransferReport,
    UnknownLayoutError,
    transfer_weights,
    write_for,
)
from models_genesis_bundle.weights.sources import read_source, read_weight_file
from models_genesis_bundle.weights.targets.convert import find_target
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

logger = logging.getLogger(__name__)

SETTINGS_FILE = Path("configs/hyper_parameters.yaml")
WEIGHTS_FILE = "genesis_weights.pt"
ARCHITECTURE = ("spatial_dims", "init_filters", "blocks_down", "norm", "resolution", "feature_size", "use_v2")


class Auto3DSegError(RuntimeError):
    """An algorithm is missing or cannot be used as asked; the message names it and says what to do."""


@dataclass(frozen=True)
class Initialisation:
    """The result for one algorithm."""

    algorithm: str  # its folder's name
    weights: str | None = None  # the file that it starts from; None if no file can be used
    report: TransferReport | None = None  # the outcome for each tensor
    reason: str = ""  # why no file can be used


@dataclass(frozen=True)
class Entry:
    """The keys of ``hyper_parameters.yaml`` that make an algorithm start from a file; ``::`` separates levels."""

    target: str  # the form of the file, see weights.write_for
    switch: str  # the key that turns it on
    file: str  # the key of the file's path
    overruling: str  # a key that overrides these keys
    spatial_dims: int = 3  # of the network
    remark: str = ""  # other effects of starting from a file


# Not segresnet's pretrained_ckpt_name: the ensemble would then predict with the pretrained weights.
SEGRESNET = Entry(
    target="segresnet",
    switch="finetune::enabled",
    file="finetune::ckpt_name",
    overruling="pretrained_ckpt_name",
    remark="It trains one epoch less than num_epochs says: the file counts as the first.",
)
ENTRIES = (
    SEGRESNET,
    replace(SEGRESNET, target="segresnet2d", spatial_dims=2),
    Entry("swinunetr", switch="use_pretrain", file="pretrained_path", overruling="finetune::activate"),
)


def initialise(
    work_dir: str | os.PathLike,
    weights: str | os.PathLike | Sequence[str | os.PathLike],
    algos: str | Sequence[str] = (),
) -> list[Initialisation]:
    """Make the algorithms in a work folder of ``AutoRunner`` start from pretrained weights.

    For each algorithm this builds the network that it will train, transfers the first weight file whose encoder fits (see
    ``transfer_weights``), writes the network to ``genesis_weights.pt`` in the algorithm's folder, and sets the keys of
    ``configs/hyper_parameters.yaml`` that make the algorithm start from this file. Tensors that are not in the weights, such as
    the heads, keep their initial values. A second call replaces both files. The results are also logged.

    Args:
        work_dir: the folder, after the generation of the algorithms.
        weights: one weight file or several, in the order of preference.
        algos: only these algorithms (``segresnet``) or folders (``segresnet_0``); empty: all.

    Raises:
        Auto3DSegError: when there are no algorithms, or not those that are named.
        CheckpointError: when a weight file cannot be read.
    """
    folders = _generated_algorithms(work_dir, ensure_tuple(algos))
    sources = {os.fspath(path): read_weight_file(path) for path in ensure_tuple(weights)}
    results = []
    for folder in folders:
        logger.info("%s:", folder.name)
        result = _initialise(folder, sources)
        if result.reason:
            has_weights = (folder / WEIGHTS_FILE).is_file()
            earlier = " It still starts from the weights of an earlier call." if has_weights else ""
            logger.warning("%s: none of the weights can be used. %s%s", folder.name, result.reason, earlier)
        results.append(result)
    return results


def _initialise(folder: Path, sources: Mapping[str, Mapping[str, Any]]) -> Initialisation:
    def refused(reason: str) -> Initialisation:
        return Initialisation(folder.name, reason=reason)

    # all files merged, as the algorithm's scripts read them
    settings = ConfigParser(ConfigParser.load_config_files(sorted((folder / "configs").glob("*.yaml"))))
    entry = _find_entry(settings)
    if entry is None and "initial_weights" in settings:
        return refused("It loads weights when it is generated, from the key initial_weights of Auto3DSeg's input.")
    if entry is None:
        known = "; ".join(dict.fromkeys(f"{one.switch} and {one.file}" for one in ENTRIES))
        return refused(f"Its settings have none of the keys of segresnet and swinunetr for weights ({known}).")
    if settings.get(entry.overruling):
        return refused(
            f"Its {entry.overruling} is set and would be used instead: unset it in {folder / SETTINGS_FILE}."
        )
    try:
        definition = _network_definition(settings)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)  # the same random values each time
            network = ConfigParser(definition).get_parsed_content("")
    except Exception as error:  # the settings of a template may raise any error
        return refused(f"Its network cannot be built: {unwrapped(error)}")

    refusals = []
    for path, content in sources.items():
        try:
            preprocessing = read_source(content, path).preprocessing
            report = transfer_weights(network, content, name=path)
            file = write_for(entry.target, network, folder / WEIGHTS_FILE, preprocessing=preprocessing)
        except (CheckpointError, UnknownLayoutError) as error:
            refusals.append(str(error))
            continue
        keys = {entry.switch: True, entry.file: f"$@bundle_root + '/{file.name}'"}
        _change_settings(folder, keys)
        changed = ", ".join(f"{key}: {value}" for key, value in keys.items())
        logger.info("%s: %s", folder / SETTINGS_FILE, changed)
        logger.info("%s", intensities(preprocessing, settings.get()))
        if entry.remark:
            logger.info("%s", entry.remark)
        return Initialisation(folder.name, path, report)
    given = [f'--network_def::{name} "{definition[name]}"' for name in ARCHITECTURE if name in definition]
    return refused("\n".join([*refusals, f"{find_target(entry.target).advice} Here it is {' '.join(given)}."]))


def _generated_algorithms(work_dir: str | os.PathLike, algos: Sequence[str]) -> list[Path]:
    """The folders ``<algorithm>_<fold>`` in a work folder that ``algos`` names, or all of them."""
    found = [path.parent.parent for path in sorted(Path(work_dir).glob(f"*/{SETTINGS_FILE}"))]
    if not found:
        raise Auto3DSegError(
            f"{work_dir}: expected folders with a {SETTINGS_FILE}, found none. Generate the algorithms first: "
            f"python -m monai.apps.auto3dseg AutoRunner run --work_dir {work_dir} --input … --train False --ensemble False"
        )
    names = {folder: (folder.name.split("_")[0], folder.name) for folder in found}
    known = dict.fromkeys(itertools.chain.from_iterable(names.values()))
    if unknown := [name for name in algos if name not in known]:
        raise Auto3DSegError(
            f"algos: expected algorithms of {work_dir} ({', '.join(known)}), found {', '.join(unknown)}."
        )
    return [folder for folder in found if not algos or set(algos).intersection(names[folder])]


def _change_settings(folder: Path, changes: dict[str, Any]) -> None:
    """Set keys of ``hyper_parameters.yaml``, and replace the file atomically."""
    path = folder / SETTINGS_FILE
    parser = ConfigParser(ConfigParser.load_config_file(path))
    parser.update(changes)
    with whole_file(path) as unfinished:
        ConfigParser.export_config_file(parser.config, unfinished, fmt="yaml", default_flow_style=None, sort_keys=False)


def _find_entry(settings: ConfigParser) -> Entry | None:
    """The entry of an algorithm, recognised by its keys, not by its name; None for an unknown algorithm."""
    spatial_dims = settings.get("network::spatial_dims") or 3
    for entry in ENTRIES:
        has_keys = settings.get(entry.switch) is not None and settings.get(entry.file) is not None
        if has_keys and spatial_dims == entry.spatial_dims:
            return entry
    return None


def _network_definition(settings: ConfigParser) -> dict[str, Any]:
    """The definition of the network that an algorithm trains; ``SwinUNETR`` needs the package einops.

    As in ``segresnet``'s scripts, kernels follow an anisotropic spacing. NVFuser's normalisation has the weights of the plain one.
    """
    definition = dict(settings.get_parsed_content("network", instantiate=False).get_config())
    if str(definition.get("norm")).upper() == "INSTANCE_NVFUSER":
        definition["norm"] = "INSTANCE"
    if settings.get("anisotropic_scales") and definition.get("spatial_dims", 3) == 3:
        definition["resolution"] = settings.get_parsed_content("resample_resolution")
    return definition


def intensities(preprocessing: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> str:
    """A sentence with the intensities that the pretrained network saw, and those with which the algorithm trains."""
    before = (preprocessing or {}).get("intensity")
    here = {name: settings[name] for name in ("normalize_mode", "intensity_bounds") if name in settings}  # segresnet
    for place, value in leaves(settings.get("transforms_train"), "transforms_train"):  # swinunetr
        if value in ("ScaleIntensityRanged", "NormalizeIntensityd"):
            here = {"transform": value, **ConfigParser(dict(settings))[place.removesuffix("::_target_")]}
            break
    return f"Intensities in pretraining: {_shown(before)}; in the algorithm's training: {_shown(here)}."


def _shown(scaling: Mapping[str, Any] | None) -> str:
    hidden = ("_target_", "keys", "clip")
    named = [f"{key} {value}" for key, value in (scaling or {}).items() if value is not None and key not in hidden]
    return ", ".join(named) or "not recorded"
