"""The metadata of an exported segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.export.finished_segmentation import FinishedSegmentation

__all__ = ["segmentation_metadata"]

TAKEN_OVER = ("schema", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "references")


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
                    "channel_def": {"0": "background"} | _classes(segmentation.label_names),
                    **patch,
                }
            },
        },
        **(given or {}),
    }
    return {"changelog": {metadata["version"]: metadata["description"]}, **metadata}


def _classes(names: list[str]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names, start=1)}
