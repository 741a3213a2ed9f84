"""From a plan to its report: the whole comparison."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from models_genesis_bundle.comparison.cautions import pretraining_cautions, score_cautions
from models_genesis_bundle.comparison.checks import check_plan
from models_genesis_bundle.comparison.fairness import Fairness
from models_genesis_bundle.comparison.read_plan import read_plan
from models_genesis_bundle.comparison.report import Comparison, write_report
from models_genesis_bundle.comparison.results import results_table
from models_genesis_bundle.comparison.run import PROGRAM, planned_runs
from models_genesis_bundle.comparison.run_record import RunRecord
from models_genesis_bundle.comparison.runner import run_comparison
from models_genesis_bundle.comparison.statistics import Statistics

__all__ = ["compare_initialisations"]

logger = logging.getLogger(__name__)


def compare_initialisations(
    plan: str | os.PathLike,
    jobs: int | None = None,
    section: str | None = None,
    report_only: bool = False,
    program: Sequence[str] = PROGRAM,
) -> Comparison:
    """Carry out the missing runs of a comparison, and report on all runs.

    Args:
        plan: the YAML file, see `read_plan`.
        jobs: runs at a time, in place of the plan's.
        section: which patients are scored, ``test`` or ``validation``, in place of the plan's.
        report_only: report on the finished runs and run nothing.
        program: the command that a run's words follow.

    Returns:
        What was reported; its ``missing`` is empty when every run is finished.

    Raises:
        PlanError: the plan cannot be followed.
        ComparisonError: the comparison would be unfair, another process is carrying it out, or a run lacks the metrics
            that the plan names.
    """
    checked = read_plan(plan, jobs=jobs, section=section)
    fairness = Fairness(checked)
    if not report_only:
        run_comparison(checked, check_plan(checked), fairness, program)
    finished, missing = [], []
    for run in planned_runs(checked):
        record = RunRecord.read(run)
        if record is not None and record.is_finished(run):
            fairness.admit(run)
            finished.append((run, record))
        else:
            missing.append(f"{run}: not started" if record is None else record.missing_text(run))
    table = results_table(checked, finished)
    statistics = Statistics.of(checked, table)
    cautions = pretraining_cautions(checked, [run for run, _ in finished]) + score_cautions(checked, statistics.scores)
    comparison = Comparison(checked, table, statistics, missing, cautions)
    write_report(comparison)
    for text in cautions:
        logger.warning("%s", text)
    logger.info("%d runs reported, %d missing: %s", len(finished), len(missing), checked.results_dir / "results.md")
    return comparison
