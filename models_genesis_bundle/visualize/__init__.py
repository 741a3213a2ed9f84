"""Pictures: what the deformations do, what a network restores, and how a run went."""

from models_genesis_bundle.visualize.curves import MetricCurves, restoration_curves
from models_genesis_bundle.visualize.deformation_gallery import draw_cube, gallery_figure
from models_genesis_bundle.visualize.panel_handler import RestorationPanels
from models_genesis_bundle.visualize.restoration_panel import restoration_figure, save_figure
from models_genesis_bundle.visualize.save_panel import SaveRestorationPaneld
from models_genesis_bundle.visualize.summary_writer import summary_writer

__all__ = [
    "MetricCurves",
    "RestorationPanels",
    "SaveRestorationPaneld",
    "draw_cube",
    "gallery_figure",
    "restoration_curves",
    "restoration_figure",
    "save_figure",
    "summary_writer",
]
