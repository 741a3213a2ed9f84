"""Handlers and inferers that Ignite and MONAI lack: exact resume, CPU autocast, clear ends of runs."""

from models_genesis_bundle.engines.best_weights import BestWeights
from models_genesis_bundle.engines.early_stopping import EarlyStopping
from models_genesis_bundle.engines.finite_step import NonFiniteStepError, RequireFiniteStep
from models_genesis_bundle.engines.frozen_parts import freeze_parts
from models_genesis_bundle.engines.gradient_clipping import GradientClipping
from models_genesis_bundle.engines.metrics_table import MetricsTable, read_metrics
from models_genesis_bundle.engines.precision import (
    AutocastInferer,
    Float32OnSmallMaps,
    precision_dtype,
    to_memory_format,
)
from models_genesis_bundle.engines.processes import OnMainProcess, is_main_process, join_process_group, loader_workers
from models_genesis_bundle.engines.random_states import seed_run
from models_genesis_bundle.engines.restoration_inferer import RestorationInferer
from models_genesis_bundle.engines.run_training import LostWorkerError, run_training
from models_genesis_bundle.engines.scan_evaluator import ScanEvaluator
from models_genesis_bundle.engines.step_schedule import StepSchedule
from models_genesis_bundle.engines.throughput import Throughput, TrainingProgress
from models_genesis_bundle.engines.training_state import TrainingState
from models_genesis_bundle.engines.undefined_metric import UndefinedMetric
from models_genesis_bundle.engines.unlearnt_classes import UNLEARNT_DICE, UnlearntClasses

__all__ = [
    "UNLEARNT_DICE",
    "AutocastInferer",
    "BestWeights",
    "EarlyStopping",
    "Float32OnSmallMaps",
    "GradientClipping",
    "LostWorkerError",
    "MetricsTable",
    "NonFiniteStepError",
    "OnMainProcess",
    "RequireFiniteStep",
    "RestorationInferer",
    "ScanEvaluator",
    "StepSchedule",
    "Throughput",
    "TrainingProgress",
    "TrainingState",
    "UndefinedMetric",
    "UnlearntClasses",
    "freeze_parts",
    "is_main_process",
    "join_process_group",
    "loader_workers",
    "precision_dtype",
    "read_metrics",
    "run_training",
    "seed_run",
    "to_memory_format",
]
