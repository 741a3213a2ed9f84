"""From a plan to results: the whole comparison."""

from __future__ import annotations

import logging
import os

from models_genesis_bundle.comparison.commands import BundleCommands, Commands
from models_genesis_bundle.comparison.fairness import Fairness
from models_genesis_bundle.comparison.guards import check_plan
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.plots import curves_figure, scores_figure
from models_genesis_bundle.comparison.pretraining_patients import pretraining_warnings
from models_genesis_bundle.comparison.read_plan import read_plan
from models_genesis_bundle.comparison.run_record import RunRecord
from models_genesis_bundle.comparison.run_result import read_result
from models_genesis_bundle.comparison.runner import failure_text, run_comparison
from models_genesis_bundle.comparison.runs import planned_runs
from models_genesis_bundle.comparison.summary import ComparisonSummary, summarise
from models_genesis_bundle.comparison.tables import write_tables
from models_genesis_bundle.visualize import save_figure

__all__ = ["compare_initialisations", "report"]

logger = logging.getLogger(__name__)


def compare_initialisations(
    plan: str | os.PathLike,
    jobs: int | None = None,
    section: str | None = None,
    report_only: bool = False,
    commands: Commands | None = None,
) -> ComparisonSummary:
    """Carry out what is missing of a comparison, and report on all of it.

    Args:
        plan: the YAML file, see `read_plan`.
        jobs: runs at a time, in place of the plan's.
        section: which patients are scored, ``test`` or ``validation``, in place of the plan's.
        report_only: report on what is there and run nothing.
        commands: makes the command lines of the runs; None: those of ``python -m monai.bundle run``.

    Returns:
        What was reported; its ``missing`` is empty when every run is finished.

    Raises:
        PlanError: the plan cannot be followed.
        ComparisonError: it would not be a fair comparison, or it is under way elsewhere.
    """
    checked = read_plan(plan, jobs=jobs, section=section)
    if not report_only:
        hashes = check_plan(checked)
        run_comparison(checked, commands or BundleCommands(checked), hashes)
    return report(checked)


def report(plan: ComparisonPlan) -> ComparisonSummary:
    """Write tables and plots of the finished runs of a plan into its folder of results.

    Raises:
        ComparisonError: runs that are not comparable, or that have not left the metrics that the plan names.
    """
    fairness = Fairness(plan)
    results, missing = [], []
    for run in planned_runs(plan):
        record = RunRecord.read(run)
        if record is not None and record.is_finished(run):
            fairness.admit(run)
            results.append(read_result(plan, run, record))
        elif record is not None and record.failure:
            missing.append(failure_text(run, record))
        else:
            missing.append(f"{run}: {'not started' if record is None else 'begun, not finished'}")
    warnings = pretraining_warnings(plan, [result.run for result in results])
    summary = summarise(plan, results, missing, warnings)
    write_tables(summary, plan.results_dir)
    save_figure(scores_figure(summary), plan.results_dir / "scores.png")
    save_figure(curves_figure(summary), plan.results_dir / "learning_curves.png")
    for text in summary.warnings:
        logger.warning("%s", text)
    logger.info("%d runs reported, %d missing: %s", len(results), len(missing), plan.results_dir / "results.md")
    return summary
