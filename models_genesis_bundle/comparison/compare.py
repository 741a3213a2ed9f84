"""Runs or continues the trainings and evaluations of a plan, and writes the report."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from filelock import FileLock, Timeout
from models_genesis_bundle.comparison.child_processes import ChildProcesses
from models_genesis_bundle.comparison.fairness import ComparisonError, Fairness, check_plan, pretraining_cautions
from models_genesis_bundle.comparison.plan import ComparisonPlan, read_plan
from models_genesis_bundle.comparison.report import Comparison, score_cautions, write_report
from models_genesis_bundle.comparison.results import results_table
from models_genesis_bundle.comparison.run import PROGRAM, Run, RunRecord, planned_runs, portable, words
from models_genesis_bundle.comparison.statistics import Statistics
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

logger = logging.getLogger(__name__)

LOG_BYTES = 200_000
LOG_LINES = 12
LONGEST_LINE = 400


def compare_initialisations(
    plan: str | os.PathLike,
    jobs: int | None = None,
    section: str | None = None,
    report_only: bool = False,
    program: Sequence[str] = PROGRAM,
) -> Comparison:
    """Run the missing trainings and evaluations of a comparison, and report on all runs.

    Args:
        plan: the YAML file, see `read_plan`.
        jobs: number of runs at the same time; None: as in the plan.
        section: the patients to score, ``test`` or ``validation``; None: as in the plan.
        report_only: only report on the finished runs.
        program: the command of a run, without its arguments.

    Returns:
        The reported results; ``missing`` is empty if every run is finished.

    Raises:
        PlanError: the plan is invalid.
        ComparisonError: the comparison would be unfair, another process is running it, or a run lacks a metric of the plan.
    """
    checked = read_plan(plan, jobs=jobs, section=section)
    fairness = Fairness()
    if not report_only:
        run_comparison(checked, fairness, program)
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


def run_comparison(plan: ComparisonPlan, fairness: Fairness, program: Sequence[str] = PROGRAM) -> None:
    """Carry out the missing runs of a plan, ``plan.jobs`` at a time, and check each finished run with ``fairness``.

    Unfinished runs continue with ``--resume true``. An evaluation is repeated if its command has changed. If a run fails, the
    last lines of its log are logged, the other runs continue, and the next start tries it again. If a run differs from the
    others in more than the initialisation, the comparison stops.
    """
    hashes = check_plan(plan)
    with _alone_in(plan.output_dir):
        steps = [_Steps(run, hashes[run.arm], program) for run in planned_runs(plan)]
        _require_same_trainings(steps)
        unfinished = [one for one in steps if not one.finished]
        for one in steps:
            if one.finished:
                fairness.admit(one.run)
        children = ChildProcesses(plan.working_dir, plan.threads_per_job)
        failed = 0
        with (
            logging_redirect_tqdm(),
            tqdm(total=len(steps), initial=len(steps) - len(unfinished), desc=plan.task.name, unit="run") as bar,
            ThreadPoolExecutor(plan.jobs) as pool,
        ):
            try:
                for future in as_completed([pool.submit(one.carry_out, children) for one in unfinished]):
                    done = future.result()
                    if done.record.failure:
                        failed += 1
                        logger.error("%s", done.record.missing_text(done.run))
                    else:
                        fairness.admit(done.run)
                        bar.update()
                    bar.set_postfix_str(f"{failed} failed" if failed else "")
            finally:  # also after Ctrl-C
                children.end_all()
                pool.shutdown(cancel_futures=True)


class _Steps:
    """The training and the evaluation of a run, with their progress."""

    def __init__(self, run: Run, weights: str | None, program: Sequence[str]) -> None:
        self.run = run
        self.training = words("training", run.training(), program)
        self.evaluation = words("evaluating", run.evaluation(), program)
        self.wanted = RunRecord(training=portable(self.training, run), initial_weights=weights)
        self.record = RunRecord.read(run) or self.wanted

    @property
    def finished(self) -> bool:
        """Whether the training and the evaluation with these commands have succeeded, and the evaluation's files exist."""
        evaluated = self.record.evaluated.get(self.run.plan.section)
        return self.record.is_finished(self.run) and evaluated == portable(self.evaluation, self.run)

    def carry_out(self, children: ChildProcesses) -> _Steps:
        """Do the missing steps, and record whether one has failed."""
        run, record = self.run, self.record
        if not record.trained:
            resume = ["--resume", "true"] if record.begun is not None else []
            record.start_training(run)
            record.write(run)
            if code := children.call([*self.training, *resume], run.log_path):
                return self._failed("training", code)
            record.end_training()
        record.evaluated.pop(run.plan.section, None)
        record.failure = {}
        record.write(run)
        run.summary_path.unlink(missing_ok=True)
        code = children.call(self.evaluation, run.log_path)
        if code or not run.summary_path.is_file():
            return self._failed("evaluation", code)
        record.evaluated[run.plan.section] = portable(self.evaluation, run)
        record.write(run)
        return self

    def _failed(self, step: str, code: int) -> _Steps:
        self.record.failure = {"step": step, "exit_code": code, "log": _last_lines(self.run.log_path)}
        self.record.write(self.run)
        return self


def _require_same_trainings(steps: Sequence[_Steps]) -> None:
    changes = [(one.run, change) for one in steps if (change := _change(one.record, one.wanted))]
    if changes:
        run, change = changes[0]
        more = f"{len(changes) - 1} other runs also differ. " if len(changes) > 1 else ""
        raise ComparisonError(
            f"{run.folder}: this run was started with other settings: {change}. {more}"
            "Undo the change in the plan, give it another output_dir, or move these folders away to repeat the runs."
        )


def _change(record: RunRecord, wanted: RunRecord) -> str:
    if record.initial_weights != wanted.initial_weights:
        return "the content of its initial weights has changed since"
    before, now = (
        {word: value for word, value in pairwise([*one.training, ""]) if word.startswith("--")}
        for one in (record, wanted)
    )
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    return "; ".join(f"{name} was {before.get(name, 'not given')}, now {now.get(name, 'not given')}" for name in names)


def _last_lines(path: Path) -> list[str]:
    """The last lines of a log, with the last state of each progress bar."""
    text = path.read_bytes()[-LOG_BYTES:].decode(errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line[:LONGEST_LINE] for line in lines if line][-LOG_LINES:]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".comparison.lock", timeout=0):
            yield
    except Timeout:
        raise ComparisonError(
            f"{folder}: another process is running this comparison. Wait until it ends. `--report_only true` reports on "
            "the finished runs."
        ) from None
