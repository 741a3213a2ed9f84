"""A fine-tuned segmentation as a self-contained MONAI bundle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import models_genesis_bundle
import monai.bundle
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from models_genesis_bundle.export.finished_segmentation import ExportError, FinishedSegmentation
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights.model_file import release_weights
from monai.bundle import ConfigParser

TAKEN_OVER = ("schema", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "references")


def make_segmentation_bundle(
    ckpt_path: str | os.PathLike,
    output: str | os.PathLike,
    bundle_root: str | os.PathLike,
    network_config: str | os.PathLike | None = None,
    licence: str = "not stated",
    metadata: Mapping[str, Any] | None = None,
    torchscript: bool = True,
) -> Path:
    """Write a bundle of a fine-tuned segmentation: configurations, metadata, weights, TorchScript, and this package's code.

    ``docs/how-to/monai_label_deploy.md`` lists the files. The folder is written atomically.

    Args:
        ckpt_path: the weight file of a run of ``finetune_segmentation.yaml``.
        output: the folder to write; it must be new or empty.
        bundle_root: folder of this bundle, the source of configurations and licence.
        network_config: see ``FinishedSegmentation.read``.
        licence: licence of the weights; recorded in ``model.pt``.
        metadata: entries that replace the generated ones, such as ``version`` and ``authors``.
        torchscript: whether to write ``model.ts``; TorchScript does not support every network.

    Returns:
        ``output``.

    Raises:
        ExportError: when the file is not of a segmentation, ``output`` is not empty, or TorchScript does not support the network.
        CheckpointError: when the file cannot be read.
        ValueError: for a preprocessing that MONAI's transforms do not have, see ``plain_preprocessing``.
    """
    output, own_configs = Path(output), Path(bundle_root) / "configs"
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ExportError(f"{output}: the folder is not empty. Give another folder, or remove this one.")
    segmentation = FinishedSegmentation.read(ckpt_path, network_config)
    inference = _config(segmentation, own_configs, "inference_segmentation", "segmentation_bundle_inference")
    # the parts must work without the weights, as inside a TorchScript file
    del inference["weights"], inference["precision"], inference["dtype"]
    inference["scan_preprocessing"] = plain_preprocessing(segmentation.content["preprocessing"])
    inference["sliding_window"]["cval"] = segmentation.preprocessing.intensity.value_range[0]
    # MONAI Label sets train::dataset::data and validate::dataset::data
    training = _config(segmentation, own_configs, "finetune_segmentation", "segmentation_bundle_train")
    own_metadata = json.loads((own_configs / "metadata.json").read_text())

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as unfinished:
        folder = Path(unfinished) / output.name
        configs, weights = folder / "configs", folder / "models" / "model.pt"
        configs.mkdir(parents=True)
        write_json(configs / "inference.json", inference)
        write_json(configs / "train.json", training)
        write_json(configs / "metadata.json", _metadata(segmentation, own_metadata, metadata or {}))
        shutil.copy(own_configs / "logging.conf", configs)
        shutil.copy(own_configs.parent / "LICENSE", folder)
        code = Path(models_genesis_bundle.__file__).parent
        shutil.copytree(code, folder / code.name, ignore=shutil.ignore_patterns("__pycache__"))
        release_weights(segmentation.path, weights, licence)
        if torchscript:
            _write_torchscript(weights, configs)
        folder.replace(output)
    return output


def _write_torchscript(weights: Path, configs: Path) -> None:
    try:
        monai.bundle.ckpt_export(
            net_id="network_def",
            filepath=str(weights.with_suffix(".ts")),
            ckpt_file=str(weights),
            meta_file=str(configs / "metadata.json"),
            config_file=str(configs / "inference.json"),
        )
    except Exception as error:  # torch.jit raises many kinds of errors
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"models/model.ts: the network cannot be written in TorchScript ({type(error).__name__}: {reason}). Leave it out "
            "with `--torchscript False`; MONAI Label and the command line take models/model.pt."
        ) from error


def _config(segmentation: FinishedSegmentation, config_dir: Path, *names: str) -> dict[str, Any]:
    """The merged configurations, with classes, patch size and network of the weights as values."""
    config = ConfigParser.load_config_files([str(config_dir / f"{name}.yaml") for name in names])
    del config["features"]
    return config | {
        "label_names": segmentation.content["label_names"],
        "patch_size": [int(side) for side in segmentation.content["patch_size"]],
        "in_channels": segmentation.preprocessing.num_channels,
        "network_def": {**segmentation.network_def, "_requires_": "$sys.path.append(@bundle_root)"},
    }


def plain_preprocessing(record: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of MONAI transforms that do the same as the recorded ``ScanPreprocessing``, for items with ``image``.

    Unlike ``LoadScand``, they do not refuse unusable scans.

    Raises:
        ValueError: for a record of flat images, of several channels, or of one volume of files with several.
    """
    steps = ScanPreprocessing.from_record(record)
    if steps.spatial_dims != 3 or steps.volume is not None or steps.num_channels > 1:
        raise ValueError(
            "preprocessing: MONAI's transforms can express it only for 3D scans with one volume and one channel; this one has "
            f"spatial_dims {steps.spatial_dims}, volume {steps.volume} and channels {steps.channels}. Fine-tune on files with "
            "one volume each."
        )
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},  # MONAI Deploy starts here: it loads scans itself
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]
    if steps.orientation is not None:
        labels = [list(ends) for ends in RAS_LABELS]
        transforms.append({"_target_": "Orientationd", "keys": "image", "axcodes": steps.orientation, "labels": labels})
    if steps.spacing is not None:
        pixdim = list(steps.spacing)
        transforms.append({"_target_": "Spacingd", "keys": "image", "pixdim": pixdim, "mode": "bilinear"})
    return {"_target_": "Compose", "transforms": [*transforms, *_intensity_transforms(steps.intensity)]}


def _intensity_transforms(intensity: IntensityScaling) -> list[dict[str, Any]]:
    low, high = intensity.value_range
    to_range = {"keys": "image", "b_min": low, "b_max": high, "clip": True}
    if intensity.mode == "window":
        window = {"a_min": intensity.lower, "a_max": intensity.upper}
        return [{"_target_": "ScaleIntensityRanged", **to_range, **window}]
    if intensity.mode == "percentile":
        percentiles = {"lower": intensity.lower, "upper": intensity.upper}
        return [{"_target_": "ScaleIntensityRangePercentilesd", **to_range, **percentiles}]
    return [
        {"_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": intensity.mean, "divisor": intensity.std},
        {"_target_": "ScaleIntensityRanged", **to_range, "a_min": low, "a_max": high},
    ]


def _metadata(segmentation: FinishedSegmentation, own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata.json`` with the network's input and classes; versions and references are those of this bundle, ``own``."""
    content, intensity = segmentation.content, segmentation.preprocessing.intensity
    names, data = content["label_names"], content.get("data", {})
    task = f"Segmentation of {', '.join(names)}"
    network = content["network"]["_target_"].split(".")[-1]
    patch = {
        "type": "image",
        "spatial_shape": [int(side) for side in content["patch_size"]],
        "dtype": "float32",
        "is_patch_data": True,
    }
    image = {
        "format": "hounsfield" if intensity.mode == "window" else "magnitude",
        "num_channels": 1,
        "value_range": list(intensity.value_range),
        "channel_def": {"0": "image"},
    }
    prediction = {
        "format": "segmentation",
        "num_channels": len(names) + 1,
        "value_range": [],  # logits
        "channel_def": {str(number): name for number, name in enumerate(["background", *names])},
    }
    metadata = {
        **{name: own[name] for name in TAKEN_OVER},
        "version": "1.0.0",
        "name": task,
        "task": task,
        "description": f"{network} that segments {', '.join(names)}, fine-tuned with the Models Genesis bundle "
        f"{content.get('bundle_version', '(version not recorded)')}.",
        "intended_use": "Research. Not for clinical use.",
        "authors": "not stated",
        "copyright": "not stated",
        "data_source": f"{data.get('scans', 'unknown number of')} scans of {data.get('patients', 'unknown')} patients",
        "eval_metrics": dict(content.get("metrics", {})),
        "network_data_format": {"inputs": {"image": {**patch, **image}}, "outputs": {"pred": {**patch, **prediction}}},
        **given,
    }
    return {"changelog": {metadata["version"]: metadata["description"]}, **metadata}
