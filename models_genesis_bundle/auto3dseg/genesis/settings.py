"""The bundle's configurations, and parameters of Auto3DSeg as settings of ``configs/finetune_segmentation.yaml``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_genesis_bundle.bundle_config import RunCommand, check_settings, near_names, unknown_settings

logger = logging.getLogger(__name__)

STOCK_NAMES = {  # of Auto3DSeg's stock algorithms
    "num_epochs": "max_epochs",
    "num_epochs_per_validation": "val_interval",
    "num_images_per_batch": "batch_size",
    "num_sw_batch_size": "sliding_window::sw_batch_size",
    "roi_size": "patch_size",
    "label_map": "labelled_preprocessing::label_map",
    "patient_regex": "split::patient_regex",
}
STEPS = {"imports", "initialize", "training", "run"}
CHOSEN = {"bundle_root", "dataset_dir", "datalist", "output_dir", "split::split_file"}  # Auto3DSeg sets these
ALMOST_SAME = 0.85


def bundle_config(bundle: str | os.PathLike, name: str) -> str:
    """The path of a configuration; a ``FileNotFoundError`` if only the package was installed, without ``configs/``."""
    path = Path(bundle) / "configs" / f"{name}.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file. Set `genesis_bundle` in Auto3DSeg's input, or in the algorithm's "
            "hyper_parameters.yaml, to the folder of the Models Genesis bundle: the one that holds configs/."
        )
    return str(path)


def input_settings(source: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``config`` that Auto3DSeg's input has, by their places (``split::seed``).

    The input has them nested, as ``split: {seed: 3}``, together with entries for Auto3DSeg and other algorithms. Stock names such
    as ``num_epochs`` are accepted. A warning names each entry that resembles the name of a setting.
    """
    known = _places(config).keys() - STEPS - CHOSEN
    named = _own_names(source)
    for name in named.keys() - config.keys() - known:
        nested = " or ".join([repr(place) for place in sorted(known) if place.endswith(f"::{name}")][:2])
        if meant := near_names(name, sorted(known), quote="'", cutoff=ALMOST_SAME) or nested:
            logger.warning(
                "Auto3DSeg's input: %r is not a setting of the genesis algorithm; did you mean %s?", name, meant
            )
    return {place: value for place, value in _places(named, config).items() if place in known}


def training_settings(given: Mapping[str, Any], config_files: Sequence[str]) -> dict[str, Any]:
    """The training parameters that are settings of ``config_files``; AutoRunner gives the same parameters to all algorithms.

    Stock names are accepted, and arguments of components, such as ``network_def::features``. Others are ignored with a warning.

    Raises:
        SettingsError: invalid values.
    """
    given = _own_names(given)
    unknown = unknown_settings(RunCommand(tuple(config_files), given))
    for name, text in unknown.items():
        logger.warning("The training parameter %s is ignored: %s", name, text)
    overrides = {name: value for name, value in given.items() if name not in unknown}
    check_settings(RunCommand(tuple(config_files[:1]), overrides))
    return overrides


def _places(node: Mapping[str, Any], config: Mapping[str, Any] | None = None, above: str = "") -> dict[str, Any]:
    """The values of a configuration by their places; ``config`` shows how deep a similar one is nested."""
    places: dict[str, Any] = {}
    config = node if config is None else config
    for name, value in node.items():
        if isinstance(value, Mapping) and isinstance(config.get(name), Mapping):
            places |= _places(value, config[name], f"{above}{name}::")
        else:
            places[f"{above}{name}"] = value
    return places


def _own_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with stock names translated to ours; if both are given, ours counts."""
    translated = {STOCK_NAMES[name]: value for name, value in given.items() if name in STOCK_NAMES}
    return translated | {name: value for name, value in given.items() if name not in STOCK_NAMES}
