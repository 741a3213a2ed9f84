"""Carries out the runs of a plan: several at a time, each once, however often it is interrupted."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from models_genesis_bundle.comparison.child_processes import ChildProcesses
from models_genesis_bundle.comparison.commands import Commands
from models_genesis_bundle.comparison.fairness import Fairness
from models_genesis_bundle.comparison.guards import ComparisonError
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.run_record import RunRecord, portable_words
from models_genesis_bundle.comparison.runs import Run, planned_runs

__all__ = ["run_comparison"]

logger = logging.getLogger(__name__)

LOG_BYTES = 200_000
LOG_LINES = 12
LONGEST_LINE = 400
ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception): ")


def run_comparison(plan: ComparisonPlan, commands: Commands, weight_hashes: Mapping[str, str | None]) -> None:
    """Carry out what is missing of a plan's runs.

    Finished runs are left alone, half ones go on with ``--resume true``. An evaluation whose command has changed is made
    again. A run that fails is named with the last lines of its log and tried again at the next start; the others go on.

    Args:
        plan: what to run; ``plan.jobs`` runs at a time.
        commands: makes the command lines.
        weight_hashes: SHA-256 of the initial weights by arm, None for scratch.

    Raises:
        ComparisonError: another process is at it, a run's folder holds a training with other settings, or a run
            differs from its fellows in more than the initialisation (then every run that is under way is ended).
        KeyboardInterrupt: after SIGINT or SIGTERM; every run that is under way has been ended.
    """
    runs = planned_runs(plan)
    with _alone_in(plan.output_dir):
        records = _records(runs, commands, weight_hashes)
        fairness = Fairness(plan)
        finished = [run for run in runs if records[run].evaluated]
        for run in finished:
            fairness.admit(run)
        left = [run for run in runs if not records[run].evaluated]
        _Work(plan, commands, fairness, records).do(left, len(finished))


class _Work:
    def __init__(
        self, plan: ComparisonPlan, commands: Commands, fairness: Fairness, records: Mapping[Run, RunRecord]
    ) -> None:
        self.plan = plan
        self.commands = commands
        self.fairness = fairness
        self.records = records
        self.children = ChildProcesses(plan.working_dir, plan.threads_per_job)

    def do(self, runs: Sequence[Run], finished: int) -> None:
        """Carry out the runs and watch over them."""
        failed = 0
        with (
            _ended_by_sigterm_too(),
            logging_redirect_tqdm(),
            tqdm(total=finished + len(runs), initial=finished, desc=self.plan.task.name, unit="run") as bar,
            ThreadPoolExecutor(self.plan.jobs) as pool,
        ):
            try:
                for future in as_completed([pool.submit(self._carry_out, run) for run in runs]):
                    run, record = future.result()
                    if record.failure:
                        failed += 1
                        logger.error("%s", failure_text(run, record))
                    else:
                        self.fairness.admit(run)
                        bar.update()
                    bar.set_postfix_str(f"{failed} failed" if failed else "")
            except BaseException:
                self.children.end_all()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _carry_out(self, run: Run) -> tuple[Run, RunRecord]:
        record = self.records[run]
        if not record.trained:
            resume = ["--resume", "true"] if record.begun is not None else []
            record = record.start_training(run).write(run)
            if code := self.children.call([*self.commands.train(run), *resume], run.log_path):
                return run, _failed(record, "training", code, run).write(run)
            record = record.end_training().write(run)
        record.write(run)
        run.summary_path.unlink(missing_ok=True)
        if code := self.children.call(self.commands.evaluate(run), run.log_path):
            return run, _failed(record, "evaluation", code, run).write(run)
        if not run.summary_path.is_file():
            return run, _failed(record, "evaluation", code, run).write(run)
        return run, record.end_evaluation().write(run)


def failure_text(run: Run, record: RunRecord) -> str:
    """What there is to say of a run that has failed: the step, the exit code, the last lines of its log."""
    failure = record.failure
    wrong = f"ended with exit code {failure['exit_code']}" if failure["exit_code"] else "left no summary.json"
    return f"{run}: the {failure['step']} {wrong}; {run.log_path} ends with\n  " + "\n  ".join(failure["log"])


def _records(runs: Sequence[Run], commands: Commands, weight_hashes: Mapping[str, str | None]) -> dict[Run, RunRecord]:
    records, changed = {}, []
    for run in runs:
        wanted = RunRecord(
            training=portable_words(commands.train(run), run),
            evaluation=portable_words(commands.evaluate(run), run),
            initial_weights=weight_hashes[run.arm.name],
        )
        record = RunRecord.read(run) or wanted
        if not record.same_training(wanted):
            changed.append((run, _change(record, wanted)))
        evaluated = record.is_finished(run) and record.evaluation == wanted.evaluation
        records[run] = replace(record, evaluation=wanted.evaluation, evaluated=evaluated)
    if changed:
        run, change = changed[0]
        raise ComparisonError(
            f"{run.folder}: this run was started with other settings: {change}. "
            + (f"So were {len(changed) - 1} more. " if len(changed) > 1 else "")
            + "Undo the change in the plan, give it another output_dir, or move these folders away to have the runs made "
            "anew."
        )
    return records


def _change(record: RunRecord, wanted: RunRecord) -> str:
    if record.initial_weights != wanted.initial_weights:
        return "the content of its initial weights has changed since"
    before, now = _settings(record.training), _settings(wanted.training)
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    return "; ".join(f"{name} was {before.get(name, 'not given')}, now {now.get(name, 'not given')}" for name in names)


def _settings(words: Sequence[str]) -> dict[str, str]:
    """The settings of a command: a word that begins with ``--``, and the word behind it."""
    return {word: value for word, value in pairwise([*words, ""]) if word.startswith("--")}


def _failed(record: RunRecord, step: str, code: int, run: Run) -> RunRecord:
    return replace(record, failure={"step": step, "exit_code": code, "log": _last_lines(run.log_path)})


def _last_lines(path: Path) -> list[str]:
    """The end of a log, below the first error of the last command, which of a chain of errors is the cause.

    Of a progress bar, which rewrites its line, only what stood there last.
    """
    text = path.read_bytes()[-LOG_BYTES:].decode(errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip()[:LONGEST_LINE] for line in text.split("\n")]
    begin = max((number for number, line in enumerate(lines) if line.startswith("$ ")), default=0)
    lines = [line for line in lines[begin:] if line]
    end = lines[-LOG_LINES:]
    cause = next((line for line in lines if ERROR.match(line)), None)
    return end if cause is None or cause in end else [cause, "…", *end]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".comparison.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ComparisonError(
            f"{folder}: another process is carrying out this comparison. Wait for it; `--report_only true` reports on "
            "what is there."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _ended_by_sigterm_too() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as SIGINT does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
