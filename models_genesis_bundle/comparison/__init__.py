"""Comparison of initialisations over seeds and amounts of labels, to measure whether pretraining helps."""

from models_genesis_bundle.comparison.compare import compare_initialisations
from models_genesis_bundle.comparison.fairness import ComparisonError, check_plan
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, PlanError, Recipe, Task, read_plan
from models_genesis_bundle.comparison.report import Comparison
from models_genesis_bundle.comparison.run import Run, planned_runs

__all__ = [
    "Comparison",
    "ComparisonError",
    "ComparisonPlan",
    "Initialisation",
    "PlanError",
    "Recipe",
    "Run",
    "Task",
    "check_plan",
    "compare_initialisations",
    "planned_runs",
    "read_plan",
]
