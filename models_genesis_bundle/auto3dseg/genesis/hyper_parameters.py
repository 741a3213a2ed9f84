"""The settings of a fine-tuning run, chosen from Auto3DSeg's input and data statistics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from models_genesis_bundle.auto3dseg.genesis.bundle_configs import bundle_config, find_bundle
from models_genesis_bundle.auto3dseg.genesis.classes import label_names, reason_to_skip
from models_genesis_bundle.auto3dseg.genesis.patches import choose_patch_size, voxel_budget
from models_genesis_bundle.auto3dseg.genesis.settings import input_settings
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import InitialWeights
from monai.apps.utils import get_logger
from monai.bundle import ConfigParser

__all__ = ["hyper_parameters"]

logger = get_logger(module_name=__name__)  # shows INFO next to what AutoRunner says

SAME_SPACING = 0.01  # millimetres that the spacings of scans may differ by


def hyper_parameters(
    source: Mapping[str, Any], summary: Mapping[str, Any], fold: int, bundle_root: str | os.PathLike
) -> dict[str, Any]:
    """Choose the content of ``hyper_parameters.yaml``: an overlay of ``configs/finetune_segmentation.yaml``.

    Settings of that configuration that are in Auto3DSeg's input are taken from there.

    Args:
        source: Auto3DSeg's input. Besides its own keys and the settings: ``genesis_bundle``, the folder of the bundle, and
            ``network_def``, arguments of ``GenesisUNet``.
        summary: ``stats_summary`` of the data statistics.
        fold: the fold that validates.
        bundle_root: folder of the generated algorithm.

    Returns:
        Plain values, fit for JSON and YAML. With a setting of a component the whole component is written, since MONAI's
        ensemble reads only this file.

    Raises:
        FileNotFoundError: the bundle's configurations are missing.
        CheckpointError: the initial weights are missing or cannot be read.
        ValueError: data that the algorithm cannot segment.
    """
    reason = reason_to_skip(source, summary)
    if reason is not None:
        raise ValueError(reason)
    bundle = find_bundle(source.get("genesis_bundle"))
    defaults = ConfigParser.load_config_file(bundle_config(bundle, "finetune_segmentation"))
    start = InitialWeights(source.get("initial_weights"))
    logger.info(
        "The genesis algorithm starts from %s.", start.path or "scratch: no initial_weights in Auto3DSeg's input"
    )
    settings = {
        "bundle_root": str(Path(bundle_root).absolute()),
        "ckpt_path": "$@bundle_root + '/model'",
        "genesis_bundle": str(bundle),
        "fold": fold,
        "dataset_dir": "$@bundle_root + '/datalist.json'",
        "output_dir": "@ckpt_path",
        "split::test_fraction": 0,
        "label_names": label_names(source, summary),
        "scan_preprocessing::orientation": _orientation(start),
        "scan_preprocessing::intensity": _intensity(str(source["modality"]), start),
        "scan_preprocessing::spacing": _spacing(summary["image_stats"]["spacing"], start),
        "scan_preprocessing::channels": summary["image_stats"]["channels"]["max"],
        "network_def": {**_network(defaults), **_pretrained_network(start), **source.get("network_def", {})},
        **input_settings(source, defaults),
        "initial_weights": "none" if start.path is None else str(start.path.absolute()),
    }
    parser = ConfigParser(defaults)
    parser.update(settings)
    if "patch_size" not in settings:
        parser["patch_size"] = settings["patch_size"] = _patch_size(parser, summary, start)
    return {name: parser[name] for name in dict.fromkeys(place.split("::")[0] for place in settings)}


def _network(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's definition with the published widths, since Auto3DSeg trains on a GPU."""
    return {name: value for name, value in defaults["network_def"].items() if name != "features"}


def _pretrained_network(start: InitialWeights) -> dict[str, Any]:
    """The recorded arguments of the initial weights' network, without its inputs and outputs."""
    arguments = start.source.network.get("arguments", {})
    return {name: arguments[name] for name in ("features", "norm", "act", "upsample") if name in arguments}


def _orientation(start: InitialWeights) -> str | None:
    """None (as in the weights, or RAS), unless their axes have another order than the statistics'."""
    recorded = (start.preprocessing or {}).get("orientation", "RAS")
    return None if recorded and all(code in ends for code, ends in zip(recorded, RAS_LABELS, strict=True)) else "RAS"


def _intensity(modality: str, start: InitialWeights) -> str | None:
    """None (as in the weights, or a CT's window), unless the window does not suit such scans."""
    recorded = (start.preprocessing or {}).get("intensity", {}).get("mode", "window")
    return None if modality.lower() == "ct" or recorded != "window" else "percentile"


def _spacing(spacing: Mapping[str, Any], start: InitialWeights) -> list[float] | None:
    """None (as in the weights, or the scan's own), unless the scans differ in it."""
    differ = any(high - low > SAME_SPACING for low, high in zip(spacing["min"], spacing["max"], strict=True))
    if (start.preprocessing or {}).get("spacing") is not None or not differ:
        return None
    return [round(side, 4) for side in spacing["median"]]


def _patch_size(settings: ConfigParser, summary: Mapping[str, Any], start: InitialWeights) -> list[int]:
    own = summary["image_stats"]["spacing"]["median"]
    spacing = settings["scan_preprocessing::spacing"] or (start.preprocessing or {}).get("spacing") or own
    if not isinstance(spacing, list):
        spacing = own if spacing == "scan" else [float(spacing)] * len(own)
    shape = [
        voxels * side / wanted
        for voxels, side, wanted in zip(summary["image_stats"]["shape"]["median"], own, spacing, strict=True)
    ]
    widths = settings.get("network_def::features") or signature(GenesisUNet).parameters["features"].default
    patches = settings["batch_size"] * settings["patches::num_samples"]
    return list(choose_patch_size(shape, spacing, voxel_budget(patches, widths[0]), max(8, 2 ** (len(widths) - 1))))
