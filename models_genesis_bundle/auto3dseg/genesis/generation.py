"""The settings of a generated ``genesis`` algorithm, and the datalist of its fold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import models_genesis_bundle
import numpy as np
import torch
from models_genesis_bundle.auto3dseg.genesis.settings import bundle_config, input_settings
from models_genesis_bundle.data import check_patients_disjoint
from models_genesis_bundle.data.datalists.json_datalist import read_json_datalist
from models_genesis_bundle.data.scans.files import scan_files
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS, resampled_shape
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.planning.geometry import cube_sides
from models_genesis_bundle.weights import InitialWeights
from monai.apps.utils import get_logger
from monai.bundle import ConfigParser

logger = get_logger(module_name=__name__)  # logs INFO together with AutoRunner

BYTES_PER_VOXEL = 4096  # memory of the published network for a voxel's backward pass: 3.4 KiB in float32
SMALLEST, LARGEST = 64 * 64 * 32, 96**3  # voxels: patches of pretraining; receptive field of the network
SAME_SPACING = 0.01  # millimetres: smaller differences of spacings are ignored


def reason_to_skip(source: Mapping[str, Any], summary: Mapping[str, Any]) -> str | None:
    """A sentence that says why the algorithm cannot segment the data; None if it can. See `hyper_parameters`."""
    channels = summary["image_stats"]["channels"]
    if channels["min"] != channels["max"]:
        return f"The scans have {channels['min']} to {channels['max']} channels; the genesis algorithm needs an equal number."
    regions = [name for name in source.get("class_names") or [] if not isinstance(name, str)]
    if source.get("sigmoid") or regions:
        return (
            "The classes are overlapping regions (`sigmoid`, or `class_names` with an index); the genesis algorithm "
            "distinguishes classes that exclude each other."
        )
    return None


def hyper_parameters(
    source: Mapping[str, Any], summary: Mapping[str, Any], fold: int, bundle_root: str | os.PathLike
) -> dict[str, Any]:
    """The content of ``hyper_parameters.yaml``, an overlay of ``configs/finetune_segmentation.yaml`` with plain values.

    Settings in Auto3DSeg's input replace those of that configuration. If a setting belongs to a component, the whole component is
    written, because MONAI's ensemble reads only this file.

    Args:
        source: Auto3DSeg's input. Besides its own keys and the settings: ``genesis_bundle``, the folder of the bundle, and
            ``network_def``, arguments of ``GenesisUNet``.
        summary: ``stats_summary`` of the data statistics.
        fold: the fold that is used for validation.
        bundle_root: folder of the generated algorithm.

    Raises:
        FileNotFoundError: the bundle's configurations are missing.
        CheckpointError: the initial weights are missing or cannot be read.
        ValueError: data that the algorithm cannot segment.
    """
    if reason := reason_to_skip(source, summary):
        raise ValueError(reason)
    bundle = Path(source.get("genesis_bundle") or Path(models_genesis_bundle.__file__).parents[1]).absolute()
    defaults = ConfigParser.load_config_file(bundle_config(bundle, "finetune_segmentation"))
    start = InitialWeights(source.get("initial_weights"))
    logger.info(
        "The genesis algorithm starts from %s.", start.path or "scratch: no initial_weights in Auto3DSeg's input"
    )
    recorded, arguments = start.preprocessing or {}, start.source.network.get("arguments", {})
    scans = summary["image_stats"]
    settings = {
        "bundle_root": str(Path(bundle_root).absolute()),
        "ckpt_path": "$@bundle_root + '/model'",
        "genesis_bundle": str(bundle),
        "fold": fold,
        "dataset_dir": "$@bundle_root + '/datalist.json'",
        "output_dir": "@ckpt_path",
        "split::test_fraction": 0,
        "label_names": _label_names(source, summary),
        **_preprocessing(str(source["modality"]), scans["spacing"], recorded),
        "scan_preprocessing::channels": scans["channels"]["max"],
        "network_def": {
            # without the narrow widths, because Auto3DSeg trains on a GPU
            **{name: value for name, value in defaults["network_def"].items() if name != "features"},
            **{name: arguments[name] for name in ("features", "norm", "act", "upsample") if name in arguments},
            **source.get("network_def", {}),
        },
        **input_settings(source, defaults),
        "initial_weights": "none" if start.path is None else str(start.path.absolute()),
    }
    parser = ConfigParser(defaults)
    parser.update(settings)
    if "patch_size" not in settings:
        parser["patch_size"] = settings["patch_size"] = _patch_size(parser, scans, recorded)
    return {name: parser[name] for name in dict.fromkeys(place.split("::")[0] for place in settings)}


def _label_names(source: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """Names of the classes 1, 2, … of the label maps: ``class_names``, or ``class_1``, ``class_2``, …."""
    label_map = {int(old): int(new) for old, new in (source.get("label_map") or {}).items()}
    found = sorted({label_map.get(int(label), int(label)) for label in summary["label_stats"]["labels"]} | {0})
    if found != list(range(len(found))):
        raise ValueError(
            f"Expected the labels 0, 1, 2, … without a gap, found {', '.join(map(str, found))}. Map them with `label_map` in "
            "Auto3DSeg's input, such as {4: 3}."
        )
    names = list(source.get("class_names") or [f"class_{label}" for label in found[1:]])
    if len(names) != len(found) - 1:
        raise ValueError(
            f"`class_names`: expected one name for each of the {len(found) - 1} labels {', '.join(map(str, found[1:]))}, found "
            f"{len(names)} names ({', '.join(names)}). Do not name the background."
        )
    return names


def _preprocessing(modality: str, spacing: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the preprocessing; None means as in the weights, or else RAS, a CT window and the original spacing."""
    axes = recorded.get("orientation", "RAS")
    same_axes = axes and all(code in ends for code, ends in zip(axes, RAS_LABELS, strict=True))
    window = recorded.get("intensity", {}).get("mode", "window") == "window"
    differ = any(high - low > SAME_SPACING for low, high in zip(spacing["min"], spacing["max"], strict=True))
    median = [round(side, 4) for side in spacing["median"]]
    return {
        "scan_preprocessing::orientation": None if same_axes else "RAS",  # order of axes in the statistics
        "scan_preprocessing::intensity": "percentile" if window and modality.lower() != "ct" else None,
        "scan_preprocessing::spacing": median if differ and recorded.get("spacing") is None else None,
    }


def _patch_size(settings: ConfigParser, scans: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[int]:
    """The whole median scan if it is small enough, otherwise a part with about equal sides in millimetres."""
    own = scans["spacing"]["median"]
    spacing = settings["scan_preprocessing::spacing"] or recorded.get("spacing") or own
    if not isinstance(spacing, list):
        spacing = own if spacing == "scan" else [float(spacing)] * len(own)
    widths = settings.get("network_def::features") or signature(GenesisUNet).parameters["features"].default
    patches, divisor = settings["batch_size"] * settings["patches::num_samples"], max(8, 2 ** (len(widths) - 1))
    limits = np.ceil(np.divide(resampled_shape(scans["shape"]["median"], own, spacing), divisor)) * divisor
    return cube_sides(limits.tolist(), spacing, voxel_budget(patches, widths[0]), divisor)


def voxel_budget(patches: int, first_width: int = 64, device_memory: int | None = None) -> int:
    """The voxels of a patch, 64 × 64 × 32 to 96 × 96 × 96, so that the training needs at most about half of the GPU's memory.

    ``patches`` is their number in a batch, ``first_width`` the channels of the first stage, which needs most of the memory, and
    ``device_memory`` is in bytes; None: that of the first GPU here, or 0.
    """
    if device_memory is None and torch.cuda.is_available():
        device_memory = torch.cuda.get_device_properties(0).total_memory
    voxels = (device_memory or 0) / 2 / (patches * BYTES_PER_VOXEL * first_width / 64)
    return int(np.clip(voxels, SMALLEST, LARGEST))


def fold_datalist(source: Mapping[str, Any], fold: int) -> dict[str, list[dict[str, Any]]]:
    """Split the labelled scans of Auto3DSeg's input: those of the fold are for validation, all others for training.

    The input has ``datalist`` (a JSON whose ``training`` has entries with ``image``, a path or a list with a path for each
    channel, ``label`` and ``fold``), ``dataroot`` (the folder of its relative paths) and, optionally, ``patient_regex``.

    Returns:
        ``training`` and ``validation``: ``[{"image": path or list of paths, "label": path, "patient": name}, …]``, absolute paths.

    Raises:
        FileNotFoundError: the datalist or a listed file is missing.
        ValueError: an invalid entry, a fold that no entry or every entry has, or a patient in both lists.
    """
    file, root = Path(source["datalist"]), Path(source["dataroot"]).absolute()
    listed = read_json_datalist(file, root, source.get("patient_regex"), labelled=True)["training"]
    sections = {
        "training": [entry for entry in listed if entry.get("fold") != fold],
        "validation": [entry for entry in listed if entry.get("fold") == fold],
    }
    for section, scans in sections.items():
        if not scans:
            folds = ", ".join(sorted({str(entry.get("fold")) for entry in listed}))
            raise ValueError(
                f"{file}: with fold {fold}, the {section} list is empty. The entries have the folds {folds}."
            )
    try:
        check_patients_disjoint(sections)
    except ValueError as error:
        raise ValueError(
            f"{file}, fold {fold}: {error} If the entries have no `fold`, Auto3DSeg assigns folds by scan, not by patient. "
            "Write a `fold` into each entry, the same one for all scans of a patient."
        ) from None
    return {section: [_entry(scan) for scan in scans] for section, scans in sections.items()}


def _entry(scan: Mapping[str, Any]) -> dict[str, Any]:
    files = scan_files(scan)
    return {"image": files if len(files) > 1 else files[0], "label": scan["label"], "patient": scan["patient"]}
