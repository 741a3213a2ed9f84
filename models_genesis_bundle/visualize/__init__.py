"""Pictures of deformations, restorations and segmentations, and the curves of a run."""

from models_genesis_bundle.visualize.cube_pictures import (
    draw_cube,
    gallery_figure,
    restoration_figure,
    save_figure,
    try_to_save_figure,
)
from models_genesis_bundle.visualize.curves import MetricCurves, metric_curves, summary_writer
from models_genesis_bundle.visualize.panels import (
    RestorationPanels,
    SaveRestorationPaneld,
    SegmentationPanels,
    class_numbers,
)
from models_genesis_bundle.visualize.segmentation_overlay import (
    SegmentationSlice,
    segmentation_figure,
    segmentation_slices,
)

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
