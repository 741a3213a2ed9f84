"""Reports: an evaluation's summary with intervals, and pictures."""

from models_genesis_bundle.reports.classification_report import ClassificationReport
from models_genesis_bundle.reports.predictions_table import PredictionsTable
from models_genesis_bundle.reports.scan_results import ScanResults, require_all_scans
from models_genesis_bundle.reports.segmentation_report import SegmentationReport

__all__ = ["ClassificationReport", "PredictionsTable", "ScanResults", "SegmentationReport", "require_all_scans"]
