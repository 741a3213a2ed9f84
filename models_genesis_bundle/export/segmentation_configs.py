"""The configurations and the metadata of an exported segmentation, with the weights' records written out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.export.finished_segmentation import FinishedSegmentation
from models_genesis_bundle.export.plain_preprocessing import plain_preprocessing
from monai.bundle import ConfigParser

__all__ = ["inference_config", "segmentation_metadata", "train_config"]

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


def segmentation_metadata(
    segmentation: FinishedSegmentation, own: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """``metadata.json`` of a fine-tuned network: its input, and the class of each channel.

    Args:
        segmentation: the network.
        own: this bundle's metadata; source of versions and references.
        given: entries by name that replace the generated ones, such as ``version`` and ``authors``.
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
