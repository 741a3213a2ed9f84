"""The configurations of an exported segmentation, with the weights' records written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models_genesis_bundle.export.finished_segmentation import FinishedSegmentation
from models_genesis_bundle.export.plain_preprocessing import plain_preprocessing
from monai.bundle import ConfigParser

__all__ = ["inference_config", "train_config"]


def inference_config(segmentation: FinishedSegmentation, config_dir: Path) -> dict[str, Any]:
    """``inference_segmentation.yaml`` for one network: its parts are read without the weights, as inside a TorchScript file.

    Args:
        segmentation: the network.
        config_dir: folder of this bundle's configurations.
    """
    config = _written_out(segmentation, config_dir, "inference_segmentation", "segmentation_bundle_inference")
    del config["weights"], config["precision"], config["dtype"]
    return config | {"scan_preprocessing": plain_preprocessing(segmentation.content["preprocessing"])}


def train_config(segmentation: FinishedSegmentation, config_dir: Path) -> dict[str, Any]:
    """``finetune_segmentation.yaml`` for one network, which continues from its weights.

    MONAI Label puts its lists of images and labels into ``train::dataset::data`` and ``validate::dataset::data``. Its labels
    are the class numbers, so that no label is mapped.

    Args:
        segmentation: the network.
        config_dir: folder of this bundle's configurations.
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
