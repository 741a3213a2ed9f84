"""The honest answer to "did pretraining help?": initialisations compared over seeds and label fractions."""

from models_genesis_bundle.comparison.commands import BundleCommands, Commands
from models_genesis_bundle.comparison.compare import compare_initialisations, report
from models_genesis_bundle.comparison.guards import ComparisonError, check_plan
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, Task
from models_genesis_bundle.comparison.plan_values import PlanError
from models_genesis_bundle.comparison.read_plan import read_plan
from models_genesis_bundle.comparison.runs import Run, planned_runs

__all__ = [
    "BundleCommands",
    "Commands",
    "ComparisonError",
    "ComparisonPlan",
    "Initialisation",
    "PlanError",
    "Run",
    "Task",
    "check_plan",
    "compare_initialisations",
    "planned_runs",
    "read_plan",
    "report",
]
