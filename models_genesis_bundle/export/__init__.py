"""Export of a fine-tuned network as a separate MONAI bundle, for MONAI Label, MONAI Deploy and colleagues."""

from models_genesis_bundle.export.finished_segmentation import ExportError, FinishedSegmentation
from models_genesis_bundle.export.plain_preprocessing import plain_preprocessing
from models_genesis_bundle.export.segmentation_bundle import make_segmentation_bundle
from models_genesis_bundle.export.segmentation_configs import inference_config, train_config
from models_genesis_bundle.export.segmentation_metadata import segmentation_metadata

__all__ = [
    "ExportError",
    "FinishedSegmentation",
    "inference_config",
    "make_segmentation_bundle",
    "plain_preprocessing",
    "segmentation_metadata",
    "train_config",
]
