"""Carries out the runs of a plan: several at a time, each once, also after interruptions."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from filelock import FileLock, Timeout
from models_genesis_bundle.comparison.checks import ComparisonError
from models_genesis_bundle.comparison.child_processes import ChildProcesses
from models_genesis_bundle.comparison.fairness import Fairness
from models_genesis_bundle.comparison.plan import ComparisonPlan
from models_genesis_bundle.comparison.run import PROGRAM, Run, planned_runs, words
from models_genesis_bundle.comparison.run_record import RunRecord, portable_words
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

__all__ = ["run_comparison"]

logger = logging.getLogger(__name__)

LOG_BYTES = 200_000
LOG_LINES = 12
LONGEST_LINE = 400
ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception): ")


def run_comparison(
    plan: ComparisonPlan, weight_hashes: Mapping[str, str | None], fairness: Fairness, program: Sequence[str] = PROGRAM
) -> None:
    """Carry out the missing runs of a plan.

    Finished runs are kept, unfinished ones continue with ``--resume true``. An evaluation whose command has changed is
    repeated. A run that fails is reported with the last lines of its log and tried again at the next start; the others
    continue.

    Args:
        plan: what to run; ``plan.jobs`` runs at a time.
        weight_hashes: SHA-256 of the initial weights by arm, None for scratch.
        fairness: admits each run that is finished.
        program: the command that a run's words follow.

    Raises:
        ComparisonError: another process carries it out, a run's folder holds a training with other settings, or a run
            differs from the others in more than the initialisation (then all active runs are ended).
        KeyboardInterrupt: after SIGINT or SIGTERM; all active runs have been ended.
    """
    with _alone_in(plan.output_dir):
        steps = [_Steps(run, weight_hashes[run.arm], program) for run in planned_runs(plan)]
        _require_same_trainings(steps)
        left = [one for one in steps if not one.finished]
        for one in steps:
            if one.finished:
                fairness.admit(one.run)
        _carry_out(plan, left, len(steps) - len(left), fairness)


class _Steps:
    """Training and evaluation of a run, and their progress."""

    def __init__(self, run: Run, weights: str | None, program: Sequence[str]) -> None:
        self.run = run
        self.training = words("training", run.training(), program)
        self.evaluation = words("evaluating", run.evaluation(), program)
        self.wanted = RunRecord(training=portable_words(self.training, run), initial_weights=weights)
        self.record = RunRecord.read(run) or self.wanted

    @property
    def finished(self) -> bool:
        """Whether this training and this evaluation have ended well, and the evaluation's files exist."""
        own = portable_words(self.evaluation, self.run)
        return self.record.is_finished(self.run) and self.record.evaluated[self.run.plan.section] == own

    def carry_out(self, children: ChildProcesses) -> _Steps:
        """Do the steps that are left; the record then says whether a step has failed."""
        run, section = self.run, self.run.plan.section
        if not self.record.trained:
            resume = ["--resume", "true"] if self.record.begun is not None else []
            self.record = self.record.start_training(run).write(run)
            if code := children.call([*self.training, *resume], run.log_path):
                return self._failed("training", code)
            self.record = self.record.end_training()
        others = {name: own for name, own in self.record.evaluated.items() if name != section}
        self.record = self.record.but(evaluated=others, failure={}).write(run)
        run.summary_path.unlink(missing_ok=True)
        code = children.call(self.evaluation, run.log_path)
        if code or not run.summary_path.is_file():
            return self._failed("evaluation", code)
        own = portable_words(self.evaluation, run)
        self.record = self.record.but(evaluated={**others, section: own}).write(run)
        return self

    def _failed(self, step: str, code: int) -> _Steps:
        failure = {"step": step, "exit_code": code, "log": _last_lines(self.run.log_path)}
        self.record = self.record.but(failure=failure).write(self.run)
        return self


def _carry_out(plan: ComparisonPlan, left: Sequence[_Steps], finished: int, fairness: Fairness) -> None:
    children = ChildProcesses(plan.working_dir, plan.threads_per_job)
    failed = 0
    with (
        _ended_by_sigterm_too(),
        logging_redirect_tqdm(),
        tqdm(total=finished + len(left), initial=finished, desc=plan.task.name, unit="run") as bar,
        ThreadPoolExecutor(plan.jobs) as pool,
    ):
        try:
            for future in as_completed([pool.submit(one.carry_out, children) for one in left]):
                done = future.result()
                if done.record.failure:
                    failed += 1
                    logger.error("%s", done.record.missing_text(done.run))
                else:
                    fairness.admit(done.run)
                    bar.update()
                bar.set_postfix_str(f"{failed} failed" if failed else "")
        finally:
            children.end_all()
            pool.shutdown(cancel_futures=True)


def _require_same_trainings(steps: Sequence[_Steps]) -> None:
    """Refuse to continue trainings that were started with other settings or weights."""
    changes = [(one.run, change) for one in steps if (change := _change(one.record, one.wanted))]
    if changes:
        run, change = changes[0]
        raise ComparisonError(
            f"{run.folder}: this run was started with other settings: {change}. "
            + (f"So were {len(changes) - 1} more. " if len(changes) > 1 else "")
            + "Undo the change in the plan, give it another output_dir, or move these folders away to repeat the "
            "runs."
        )


def _change(record: RunRecord, wanted: RunRecord) -> str:
    if record.initial_weights != wanted.initial_weights:
        return "the content of its initial weights has changed since"
    before, now = _settings(record.training), _settings(wanted.training)
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    return "; ".join(f"{name} was {before.get(name, 'not given')}, now {now.get(name, 'not given')}" for name in names)


def _settings(words: Sequence[str]) -> dict[str, str]:
    """The settings of a command: a word that begins with ``--``, and the word after it."""
    return {word: value for word, value in pairwise([*words, ""]) if word.startswith("--")}


def _last_lines(path: Path) -> list[str]:
    """The end of a log, after the first error of the last command, which is the cause in a chain of errors.

    A progress bar, which rewrites its line, is shortened to its last state.
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
    try:
        with FileLock(folder / ".comparison.lock", timeout=0):
            yield
    except Timeout:
        raise ComparisonError(
            f"{folder}: another process is carrying out this comparison. Wait for it; `--report_only true` reports on "
            "the finished runs."
        ) from None


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
