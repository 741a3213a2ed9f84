"""Export of a fine-tuned network as a separate MONAI bundle, for MONAI Label, MONAI Deploy and colleagues."""

from models_genesis_bundle.export.finished_segmentation import ExportError, FinishedSegmentation
from models_genesis_bundle.export.segmentation_bundle import make_segmentation_bundle, plain_preprocessing

__all__ = ["ExportError", "FinishedSegmentation", "make_segmentation_bundle", "plain_preprocessing"]
