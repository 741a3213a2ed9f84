"""Pictures: what the deformations do, what a network restores or segments, and how a run went."""

from models_genesis_bundle.visualize.curves import MetricCurves, metric_curves
from models_genesis_bundle.visualize.deformation_gallery import draw_cube, gallery_figure
from models_genesis_bundle.visualize.restoration_panel import restoration_figure, save_figure, try_to_save_figure
from models_genesis_bundle.visualize.restoration_panels import RestorationPanels
from models_genesis_bundle.visualize.save_panel import SaveRestorationPaneld
from models_genesis_bundle.visualize.segmentation_overlay import (
    SegmentationSlice,
    segmentation_figure,
    segmentation_slices,
)
from models_genesis_bundle.visualize.segmentation_panels import SegmentationPanels, class_numbers
from models_genesis_bundle.visualize.summary_writer import summary_writer

__all__ = [
    "MetricCurves",
    "RestorationPanels",
    "SaveRestorationPaneld",
    "SegmentationPanels",
    "SegmentationSlice",
    "class_numbers",
    "draw_cube",
    "gallery_figure",
    "metric_curves",
    "restoration_figure",
    "save_figure",
    "segmentation_figure",
    "segmentation_slices",
    "summary_writer",
    "try_to_save_figure",
]
