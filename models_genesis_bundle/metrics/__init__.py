"""Metrics that MONAI lacks, and confidence intervals for all of them."""

from models_genesis_bundle.metrics.bootstrap import bootstrap_interval, mean_with_interval
from models_genesis_bundle.metrics.classification_scores import (
    ReliabilityCurve,
    brier_scores,
    classification_scores,
    expected_calibration_error,
    predicted_classes,
    reliability_curve,
)
from models_genesis_bundle.metrics.covariate_scores import covariate_scores, matched_pairs
from models_genesis_bundle.metrics.froc import Froc
from models_genesis_bundle.metrics.roc import (
    auc_with_interval,
    compare_aucs,
    proportion_with_interval,
    sensitivity_and_specificity,
    youden_threshold,
)
from models_genesis_bundle.metrics.segmentation_scores import (
    require_label_names,
    segmentation_scores,
    thresholded_mean_iou,
)

__all__ = [
    "Froc",
    "ReliabilityCurve",
    "auc_with_interval",
    "bootstrap_interval",
    "brier_scores",
    "classification_scores",
    "compare_aucs",
    "covariate_scores",
    "expected_calibration_error",
    "matched_pairs",
    "mean_with_interval",
    "predicted_classes",
    "proportion_with_interval",
    "reliability_curve",
    "require_label_names",
    "segmentation_scores",
    "sensitivity_and_specificity",
    "thresholded_mean_iou",
    "youden_threshold",
]
