"""Handlers and inferers that Ignite and MONAI lack: exact resume, autocast on CPUs, and clear messages when a run ends."""

from models_genesis_bundle.engines.after_validation import (
    UNLEARNT_DICE,
    BestWeights,
    EarlyStopping,
    StepSchedule,
    UndefinedMetric,
    UnlearntClasses,
)
from models_genesis_bundle.engines.frozen_parts import freeze_parts
from models_genesis_bundle.engines.gradients import GradientClipping, NonFiniteStepError, RequireFiniteStep
from models_genesis_bundle.engines.inferers import (
    AutocastInferer,
    Float32OnSmallMaps,
    RestorationInferer,
    precision_dtype,
    to_memory_format,
)
from models_genesis_bundle.engines.metrics_table import MetricsTable, Throughput, TrainingProgress, read_metrics
from models_genesis_bundle.engines.processes import (
    EpochMetric,
    MainBuffers,
    OnMainProcess,
    init_loader_worker,
    is_main_process,
    join_process_group,
    loader_workers,
    seed_run,
)
from models_genesis_bundle.engines.run_training import LostWorkerError, run_training
from models_genesis_bundle.engines.scan_evaluator import ScanEvaluator
from models_genesis_bundle.engines.training_state import TrainingState

__all__ = [
    "UNLEARNT_DICE",
    "AutocastInferer",
    "BestWeights",
    "EarlyStopping",
    "EpochMetric",
    "Float32OnSmallMaps",
    "GradientClipping",
    "LostWorkerError",
    "MainBuffers",
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
    "init_loader_worker",
    "is_main_process",
    "join_process_group",
    "loader_workers",
    "precision_dtype",
    "read_metrics",
    "run_training",
    "seed_run",
    "to_memory_format",
]
