"""The configurations and the metadata of an exported segmentation, with the weights' records written out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from models_genesis_bundle.export.finished_segmentation import FinishedSegmentation
from monai.bundle import ConfigParser

__all__ = ["inference_config", "plain_preprocessing", "segmentation_metadata", "train_config"]

TAKEN_OVER = ("schema", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "references")


def inference_config(segmentation: FinishedSegmentation, config_dir: Path) -> dict[str, Any]:
    """``inference_segmentation.yaml`` for one network: its parts are read without the weights, as inside a TorchScript file."""
    config = _written_out(segmentation, config_dir, "inference_segmentation", "segmentation_bundle_inference")
    del config["weights"], config["precision"], config["dtype"]
    return config | {"scan_preprocessing": plain_preprocessing(segmentation.content["preprocessing"])}


def train_config(segmentation: FinishedSegmentation, config_dir: Path) -> dict[str, Any]:
    """``finetune_segmentation.yaml`` for one network, which continues from its weights.

    MONAI Label puts its lists of images and labels into ``train::dataset::data`` and ``validate::dataset::data``. Its labels
    are the class numbers, so that no label is mapped.
    """
    return _written_out(segmentation, config_dir, "finetune_segmentation", "segmentation_bundle_train")


def _written_out(segmentation: FinishedSegmentation, config_dir: Path, *names: str) -> dict[str, Any]:
    """The configurations merged, with the weights' classes, patch and network as values."""
    config = ConfigParser.load_config_files([str(config_dir / f"{name}.yaml") for name in names])
    del config["features"]
    return config | {
        "label_names": segmentation.label_names,
        "patch_size": segmentation.patch_size,
        "in_channels": segmentation.preprocessing.num_channels,
        "network_def": {**segmentation.network_def, "_requires_": "$sys.path.append(@bundle_root)"},
    }


def plain_preprocessing(record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of MONAI transforms that equal the recorded ``ScanPreprocessing``, for items with ``image``.

    Unlike ``LoadScand``, they do not refuse unusable scans.

    Args:
        record: of ``ScanPreprocessing.record``.

    Returns:
        A ``Compose`` with its arguments, as in a bundle's configuration.

    Raises:
        ValueError: for a record of flat images, of one volume of files with several, or of several channels.
    """
    steps = ScanPreprocessing.from_record(record)
    if steps.spatial_dims != 3 or steps.volume is not None or steps.num_channels > 1:
        raise ValueError(
            f"preprocessing: only that of single volumes can be expressed in MONAI's transforms; this one has spatial_dims "
            f"{steps.spatial_dims}, volume {steps.volume} and channels {steps.channels}. Fine-tune on files with one volume "
            "each."
        )
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},  # MONAI Deploy loads by itself, and leaves the first out
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


def segmentation_metadata(
    segmentation: FinishedSegmentation, own: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """``metadata.json`` of a fine-tuned network: its input, and the class of each channel.

    Args:
        segmentation: the network.
        own: this bundle's metadata, the source of versions and references.
        given: entries that replace the generated ones, such as ``version`` and ``authors``.
    """
    names = ", ".join(segmentation.label_names)
    data = segmentation.content.get("data", {})
    intensity = segmentation.preprocessing.intensity
    patch = {"spatial_shape": segmentation.patch_size, "dtype": "float32", "is_patch_data": True}
    metadata = {
        **{name: own[name] for name in TAKEN_OVER},
        "version": "1.0.0",
        "name": f"Segmentation of {names}",
        "task": f"Segmentation of {names}",
        "description": f"{segmentation.content['network']['_target_'].split('.')[-1]} that segments {names}, fine-tuned "
        f"with the Models Genesis bundle {segmentation.content.get('bundle_version', '(version not recorded)')}.",
        "intended_use": "Research. Not for clinical use.",
        "authors": "not stated",
        "copyright": "not stated",
        "data_source": f"{data.get('scans', 'unknown number of')} scans of {data.get('patients', 'unknown')} patients",
        "eval_metrics": dict(segmentation.content.get("metrics", {})),
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield" if intensity.mode == "window" else "magnitude",
                    "num_channels": 1,
                    "value_range": list(intensity.value_range),
                    "channel_def": {"0": "image"},
                    **patch,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": segmentation.num_classes,
                    "value_range": [],  # logits
                    "channel_def": {
                        str(number): name for number, name in enumerate(["background", *segmentation.label_names])
                    },
                    **patch,
                }
            },
        },
        **(given or {}),
    }
    return {"changelog": {metadata["version"]: metadata["description"]}, **metadata}
