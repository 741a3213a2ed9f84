"""Reports: an evaluation's summary with intervals, and pictures."""

from models_genesis_bundle.reports.classification_report import ClassificationReport, PredictionsTable
from models_genesis_bundle.reports.scan_results import ScanResults, require_all_scans
from models_genesis_bundle.reports.segmentation_report import SegmentationReport

__all__ = ["ClassificationReport", "PredictionsTable", "ScanResults", "SegmentationReport", "require_all_scans"]
